"""The offline decision: may this challenger be released? Pure, and it fails closed.

Inputs are the plain JSON of what earlier steps wrote. A value that is missing, not finite, empty or of
the wrong type fails the check that needs it, so that less evidence never makes a release.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from slate.config import GateConfig
from slate.errors import GateError
from slate.evaluation.baselines import POPULARITY
from slate.evaluation.evidence import count, instant, items, mapping, number, text
from slate.evaluation.gate_fairness import complete, group_rules
from slate.evaluation.gate_forgetting import forgetting
from slate.evaluation.intervals import widening
from slate.evaluation.record import CHAMPION
from slate.evaluation.slices import ALL, COLD_USERS, NEW_ITEMS
from slate.release.verdict import Check, Verdict

PROTOCOL: Final = "temporal"
BENCHMARK: Final = "leave_last_out"
MODELS: Final = ("retrieval", "ranking")

_MORE_USERS: Final = " Bring more data, raise split.test_fraction, or lower gate.min_users."


@dataclass(frozen=True)
class GateInputs:
    """What the gate decides on; everything is needed, and ``None`` fails.

    ``first_release`` says that there is no champion; only then may ``champion`` be None.
    ``evaluation`` is an :class:`~slate.evaluation.record.EvaluationRecord` as JSON types.
    ``challenger`` and ``champion`` hold ``content`` (a hash), ``train_end`` and ``valid_end``, and the
    challenger ``watermark`` too. ``attributes`` names every sensitive attribute of the data set's users,
    ``item_attributes`` those of its items.
    ``index`` holds ``recall`` and ``recall_target``. ``parity`` holds, for ``retrieval`` and
    ``ranking``, the largest absolute difference between exported and in-memory answers. ``parent`` is the
    release that an incremental run started from; only with one is ``forgetting`` needed, a
    :class:`~slate.evaluation.forgetting.Forgetting` as JSON types.
    """

    first_release: bool | None = None
    evaluation: Mapping[str, object] | None = None
    challenger: Mapping[str, object] | None = None
    champion: Mapping[str, object] | None = None
    attributes: Sequence[str] | None = None
    item_attributes: Sequence[str] | None = None
    index: Mapping[str, object] | None = None
    parity: Mapping[str, object] | None = None
    parent: str | None = None
    forgetting: Mapping[str, object] | None = None


def decide(inputs: GateInputs, config: GateConfig) -> Verdict:
    """Apply every rule and write down how each went. Never raises for what the inputs hold."""
    same = _attempt("content", lambda: _content(inputs))
    if same.status == "unchanged":
        return Verdict(status="unchanged", checks=(same.check,))
    checks = [same.check]
    for name, rule in _rules(inputs, config):
        checks.append(_attempt(name, lambda rule=rule: _Outcome(rule())).check)  # type: ignore[misc]
    checks += _slice_checks(inputs, config)
    checks += _fairness_checks(inputs, config)
    return Verdict(status="passed" if all(c.passed for c in checks) else "refused", checks=tuple(checks))


@dataclass(frozen=True)
class _Outcome:
    check: Check
    status: str = ""


def _attempt(name: str, rule: Callable[[], _Outcome]) -> _Outcome:
    # A rule that cannot be evaluated, for whatever reason, is a rule that was not met.
    try:
        return rule()
    except GateError as error:
        return _Outcome(Check(name=name, passed=False, detail=str(error)))
    except Exception as error:
        detail = f"could not be evaluated: {type(error).__name__}: {error}"
        return _Outcome(Check(name=name, passed=False, detail=detail))


def _rules(inputs: GateInputs, config: GateConfig) -> Iterator[tuple[str, Callable[[], Check]]]:
    yield "protocol", lambda: _protocol(inputs)
    # A benchmark protocol is refused as such; its holdout has no start that times could be held against.
    benchmark = isinstance(inputs.evaluation, Mapping) and inputs.evaluation.get("protocol") == BENCHMARK
    if not benchmark:
        yield "holdout", lambda: _holdout(inputs)
    yield "users", lambda: _users(inputs, config)
    if not benchmark and inputs.first_release is not True:
        yield "champion_trained_before_holdout", lambda: _champion_times(inputs)
    if inputs.first_release is not True:
        yield "not_worse_than_champion", lambda: _not_worse(inputs)
        yield "within_margin_of_champion", lambda: _within_margin(inputs, config)
        yield "coverage", lambda: _coverage(inputs, config)
        yield "concentration", lambda: _concentration(inputs, config)
    if inputs.parent is not None:
        yield "forgetting", lambda: forgetting(inputs.forgetting, inputs.parent, config)
    yield "better_than_popularity", lambda: _beats_popularity(inputs)
    yield "index_recall", lambda: _index_recall(inputs)
    for model in MODELS:
        yield f"parity_{model}", lambda model=model: _parity(inputs, model, config)  # type: ignore[misc]


def _content(inputs: GateInputs) -> _Outcome:
    mine = text(inputs.challenger, "challenger", "content")
    if inputs.first_release is True:
        if inputs.champion is not None:
            raise GateError("first_release is true, yet there is a champion; say which it is")
        return _Outcome(Check(name="content", passed=True, detail="There is no champion: a first release."))
    if inputs.first_release is not False:
        raise GateError(f"first_release: {inputs.first_release!r} is neither true nor false")
    if mine == text(inputs.champion, "champion", "content"):
        check = Check(name="content", passed=True, detail="The champion's own content: nothing to release.")
        return _Outcome(check, "unchanged")
    return _Outcome(Check(name="content", passed=True, detail="The content differs from the champion's."))


def _protocol(inputs: GateInputs) -> Check:
    protocol = text(inputs.evaluation, "evaluation", "protocol")
    passed = protocol == PROTOCOL
    why = (
        "Measured on a global temporal holdout."
        if passed
        else f"{protocol} is a benchmark protocol: its models have seen other users' future. "
        f"Set split.protocol={PROTOCOL} to make a release."
    )
    return Check(name="protocol", passed=passed, detail=why)


def _holdout(inputs: GateInputs) -> Check:
    train, valid, end = (
        instant(inputs.challenger, "challenger", key) for key in ("train_end", "valid_end", "watermark")
    )
    targets = mapping(inputs.evaluation, "evaluation", "targets")
    first, last = (instant(targets, "evaluation.targets", key) for key in ("first", "last"))
    if not train <= valid < end:
        problem = f"train_end {_day(train)}, valid_end {_day(valid)}, watermark {_day(end)} are out of order"
    elif not valid < first <= last <= end:
        problem = (
            f"targets from {_day(first)} to {_day(last)} lie outside the holdout, after "
            f"{_day(valid)} up to {_day(end)}: the challenger may have been trained on them"
        )
    else:
        return Check(
            name="holdout",
            passed=True,
            detail=f"Trained and validated up to {_day(valid)}, measured after it up to {_day(end)}.",
        )
    return Check(name="holdout", passed=False, detail=problem)


def _champion_times(inputs: GateInputs) -> Check:
    start = instant(inputs.challenger, "challenger", "valid_end")
    train, valid = (instant(inputs.champion, "champion", key) for key in ("train_end", "valid_end"))
    passed = max(train, valid) <= start
    detail = f"The champion was trained up to {_day(max(train, valid))}; the holdout starts at {_day(start)}."
    if not passed:
        detail += " It has seen some of the answers; measure both on data newer than it."
    return Check(name="champion_trained_before_holdout", passed=passed, detail=detail)


def _users(inputs: GateInputs, config: GateConfig) -> Check:
    users = count(_overall(inputs), "slice all", "users")
    return Check(
        name="users",
        value=users,
        threshold=config.min_users,
        passed=users >= config.min_users,
        detail=f"{users} users were measured; at least {config.min_users} are needed."
        + ("" if users >= config.min_users else _MORE_USERS),
    )


def _not_worse(inputs: GateInputs) -> Check:
    difference = _Difference.of(_overall(inputs), "slice all", CHAMPION)
    metric = text(inputs.evaluation, "evaluation", "metric")
    passed = difference.upper >= 0
    seen = f"{difference.detectable:.4f}"
    if difference.reference > 0:
        seen += f" ({difference.detectable / difference.reference:.1%} of the champion's)"
    return Check(
        name="not_worse_than_champion",
        value=difference.value,
        interval=(difference.lower, difference.upper),
        threshold=0.0,
        passed=passed,
        detail=f"{metric} changes by {difference.value:+.4f}; the 95% upper bound {difference.upper:+.4f} "
        f"is {'not below' if passed else 'below'} 0. The smallest loss this could have seen four times "
        f"out of five is {seen}.",
    )


def _within_margin(inputs: GateInputs, config: GateConfig) -> Check:
    difference = _Difference.of(_overall(inputs), "slice all", CHAMPION)
    threshold = -config.margin * difference.reference
    passed = difference.value >= threshold
    return Check(
        name="within_margin_of_champion",
        value=difference.value,
        interval=(difference.lower, difference.upper),
        threshold=threshold,
        passed=passed,
        detail=f"{difference.challenger:.4f} against the champion's {difference.reference:.4f}; a loss of "
        f"{config.margin:.0%} is {'not reached' if passed else 'exceeded'}.",
    )


def _beats_popularity(inputs: GateInputs) -> Check:
    difference = _Difference.of(_overall(inputs), "slice all", POPULARITY)
    passed = difference.value > 0 and difference.upper >= 0
    return Check(
        name="better_than_popularity",
        value=difference.value,
        interval=(difference.lower, difference.upper),
        threshold=0.0,
        passed=passed,
        detail=f"{difference.challenger:.4f} against popularity's {difference.reference:.4f}"
        + ("." if passed else ": a model that the most popular items beat is not worth serving."),
    )


def _coverage(inputs: GateInputs, config: GateConfig) -> Check:
    mine, theirs = _both(inputs, "coverage")
    floor = theirs * (1 - config.coverage_margin)
    return Check(
        name="coverage",
        value=mine,
        threshold=floor,
        passed=mine >= floor,
        detail=f"{mine:.1%} of the catalogue is recommended, the champion's share is {theirs:.1%}.",
    )


def _concentration(inputs: GateInputs, config: GateConfig) -> Check:
    mine, theirs = _both(inputs, "concentration")
    ceiling = 1 - (1 - theirs) * (1 - config.concentration_margin)
    return Check(
        name="concentration",
        value=mine,
        threshold=ceiling,
        passed=mine <= ceiling,
        detail=f"Exposure has a Gini coefficient of {mine:.3f}, the champion's is {theirs:.3f}.",
    )


def _index_recall(inputs: GateInputs) -> Check:
    recall, target = (number(inputs.index, "index", key) for key in ("recall", "recall_target"))
    if not 0 < target <= 1 or not 0 <= recall <= 1:
        raise GateError(f"index: recall {recall} and target {target} are not shares between 0 and 1")
    return Check(
        name="index_recall",
        value=recall,
        threshold=target,
        passed=recall >= target,
        detail=f"The index finds {recall:.1%} of what exact search finds; the target is {target:.1%}.",
    )


def _parity(inputs: GateInputs, model: str, config: GateConfig) -> Check:
    worst = number(inputs.parity, "parity", model)
    return Check(
        name=f"parity_{model}",
        value=worst,
        threshold=config.parity_tolerance,
        passed=0 <= worst <= config.parity_tolerance,
        detail=f"Exported and in-memory answers of the {model} model differ by at most {worst:.2g}.",
    )


def _slice_checks(inputs: GateInputs, config: GateConfig) -> list[Check]:
    whole = _attempt("slices", lambda: _Outcome(_complete_slices(inputs)))
    if not whole.check.passed:
        return [whole.check]
    reference = POPULARITY if inputs.first_release is True else CHAMPION
    parts = [part for part in items(inputs.evaluation, "evaluation", "slices") if part.get("name") != ALL]
    judged = sum(1 for part in parts if _at_least(part, config.min_slice_users))
    return [
        whole.check,
        *(
            _attempt(
                f"slice {part.get('name')}",
                lambda part=part: _Outcome(_slice(part, reference, judged, config)),  # type: ignore[misc]
            ).check
            for part in parts
        ),
    ]


def _complete_slices(inputs: GateInputs) -> Check:
    """Every slice there must be, and each attribute's slices together hold every user once."""
    parts = items(inputs.evaluation, "evaluation", "slices")
    names = [text(part, "slice", "name") for part in parts]
    if len(set(names)) != len(names):
        raise GateError("slices: a name appears twice; measure again")
    for needed in (ALL, COLD_USERS, NEW_ITEMS):
        if needed not in names:
            raise GateError(f"slices: {needed!r} is missing; measure again")
    if inputs.attributes is None or isinstance(inputs.attributes, str):
        raise GateError(f"attributes: {inputs.attributes!r} is not a list of sensitive attributes")
    standard = {ALL, COLD_USERS, NEW_ITEMS}
    found = {text(part, "slice", "attribute") for part in parts} - standard
    if found != set(inputs.attributes):
        raise GateError(
            f"slices: the sensitive attributes are {sorted(inputs.attributes)}, slices were measured "
            f"for {sorted(found)}; measure again"
        )
    users = count(_overall(inputs), "slice all", "users")
    for attribute in sorted(found):
        held = sum(count(p, f"slice {p['name']}", "users") for p in parts if p["attribute"] == attribute)
        if held != users:
            raise GateError(f"slices: those of {attribute} hold {held} users of {users}; measure again")
    return Check(name="slices", passed=True, detail=f"{len(parts) - 1} slices were measured.")


def _slice(part: Mapping[str, object], reference: str, judged: int, config: GateConfig) -> Check:
    """One slice. The 5% is split over the judged slices (Bonferroni), or many of them would refuse by
    chance; the bound moves out from the estimate by the ratio of the two normal quantiles.
    """
    name = text(part, "slice", "name")
    users = count(part, f"slice {name}", "users")
    if users < config.min_slice_users:
        detail = f"{users} users are too few to judge, {config.min_slice_users} are needed."
        return Check(name=f"slice {name}", passed=True, detail=detail)
    difference = _Difference.of(part, f"slice {name}", reference)
    upper = difference.value + widening(judged) * (difference.upper - difference.value)
    threshold = -config.slice_margin * difference.reference
    passed = difference.value >= threshold or upper >= 0
    detail = (
        f"{difference.challenger:.4f} against the {reference}'s {difference.reference:.4f}, {users} users"
    )
    if difference.value < threshold:
        detail += f"; a loss beyond {config.slice_margin:.0%}" + (
            ", but within what chance makes"
            if passed
            else f", and its bound over {judged} slices is {upper:+.4f}"
        )
    return Check(
        name=f"slice {name}",
        value=difference.value,
        interval=(difference.lower, difference.upper),
        threshold=threshold,
        passed=passed,
        detail=detail + ".",
    )


def _fairness_checks(inputs: GateInputs, config: GateConfig) -> list[Check]:
    if config.quality_gap is None and config.exposure_gap is None:
        return []
    evidence = (inputs.evaluation, inputs.attributes, inputs.item_attributes)
    whole = _attempt("fairness", lambda: _Outcome(complete(*evidence, config)))
    if not whole.check.passed:
        return [whole.check]
    return [
        whole.check,
        *(
            _attempt(name, lambda rule=rule: _Outcome(rule())).check  # type: ignore[misc]
            for name, rule in group_rules(inputs.evaluation, config)
        ),
    ]


@dataclass(frozen=True)
class _Difference:
    challenger: float
    reference: float
    value: float
    lower: float
    upper: float
    detectable: float

    @classmethod
    def of(cls, part: Mapping[str, object], where: str, reference: str) -> "_Difference":
        differences = mapping(part, where, "differences")
        raw = mapping(differences, f"{where}: differences", reference)
        where = f"{where}: difference from {reference}"
        if count(raw, where, "users") != count(part, where, "users"):
            raise GateError(f"{where}: not measured over the slice's users; measure again")
        return cls(*(number(raw, where, key) for key in cls.__dataclass_fields__))


def _overall(inputs: GateInputs) -> Mapping[str, object]:
    for part in items(inputs.evaluation, "evaluation", "slices"):
        if part.get("name") == ALL:
            return part
    raise GateError(f"evaluation: slice {ALL!r} is missing; measure again")


def _both(inputs: GateInputs, key: str) -> tuple[float, float]:
    rankers = mapping(inputs.evaluation, "evaluation", "rankers")
    mine = text(inputs.evaluation, "evaluation", "challenger")
    both = [number(mapping(rankers, "rankers", name), f"rankers.{name}", key) for name in (mine, CHAMPION)]
    if not all(0 <= value <= 1 for value in both):
        raise GateError(f"{key}: {both} are not shares between 0 and 1")
    return both[0], both[1]


def _at_least(part: Mapping[str, object], users: int) -> bool:
    found = part.get("users")
    return isinstance(found, int) and found >= users


def _day(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S")
