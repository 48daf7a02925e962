"""The gate's rules on groups: no group of users much worse off, no group of items hardly shown.

They read plain JSON and raise :class:`~slate.errors.GateError` on what is missing or makes no sense.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from slate.config import GateConfig
from slate.errors import GateError
from slate.evaluation.evidence import count, items, mapping, number, text
from slate.evaluation.intervals import widening
from slate.evaluation.slices import ALL
from slate.release.verdict import Check

Json = Mapping[str, object]
Rule = Callable[[], Check]

#: How the names of checks begin; the group's name follows.
QUALITY_GAP: Final = "quality gap "
EXPOSURE_GAP: Final = "exposure gap "

_USERS: Final = "fairness.users"
_ITEMS: Final = "fairness.items"


def complete(evaluation: object, attributes: object, item_attributes: object, config: GateConfig) -> Check:
    """Every declared attribute was measured, with all of its groups."""
    wanted = [
        (_declared("attributes", attributes), config.quality_gap, _all_users),
        (_declared("item_attributes", item_attributes), config.exposure_gap, _all_groups),
    ]
    judged = 0
    for names, gap, check in wanted:
        if gap is not None:
            judged += check(evaluation, names)
    detail = f"{judged} groups were measured." if judged else "No sensitive attribute is to be judged."
    return Check(name="fairness", passed=True, detail=detail)


def group_rules(evaluation: object, config: GateConfig) -> Iterator[tuple[str, Rule]]:
    """One rule a group, by the name of its check; call after :func:`complete`."""
    users = _groups(evaluation, "users") if config.quality_gap is not None else []
    enough = sum(_enough(g, ("users", "others"), config.min_slice_users) for g in users)
    for group in users:
        yield (
            f"{QUALITY_GAP}{group.get('name')}",
            lambda group=group: _quality(evaluation, group, enough, config),  # type: ignore[misc]
        )
    shown = _groups(evaluation, "items") if config.exposure_gap is not None else []
    wanted = sum(_enough(g, ("users",), config.min_slice_users) for g in shown)
    for group in shown:
        yield (
            f"{EXPOSURE_GAP}{group.get('name')}",
            lambda group=group: _exposure(evaluation, group, wanted, config),  # type: ignore[misc]
        )


def _declared(name: str, value: object) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise GateError(f"{name}: {value!r} is not a list of sensitive attributes")
    return list(value)


def _all_users(evaluation: object, names: Sequence[str]) -> int:
    """Each attribute's groups hold every user once, and the rest of each group is everybody else."""
    groups = _measured(evaluation, "users", names)
    everybody = _everybody(evaluation)
    for name in names:
        mine = [g for g in groups if g["attribute"] == name]
        held = [count(g, f"{_USERS} {g.get('name')}", "users") for g in mine]
        others = [count(g, f"{_USERS} {g.get('name')}", "others") for g in mine]
        if sum(held) != everybody or any(h + o != everybody for h, o in zip(held, others, strict=True)):
            raise GateError(
                f"{_USERS}: the groups of {name} hold {sum(held)} users of {everybody}; measure again"
            )
    return len(groups)


def _all_groups(evaluation: object, names: Sequence[str]) -> int:
    groups = _measured(evaluation, "items", names)
    for name in names:
        mine = [g for g in groups if g["attribute"] == name]
        sizes = {count(g, f"{_ITEMS} {g.get('name')}", "groups") for g in mine}
        if sizes != {len(mine)}:
            raise GateError(f"{_ITEMS}: {len(mine)} groups of {name} where {sizes} are; measure again")
    return len(groups)


def _measured(evaluation: object, kind: str, names: Sequence[str]) -> list[Json]:
    """The groups, which are of exactly these attributes."""
    where = f"fairness.{kind}"
    fairness = mapping(evaluation, "evaluation", "fairness")
    # Without attributes there are no groups, and the evaluation says so.
    groups = _groups(evaluation, kind) if fairness.get(kind) == [] else items(fairness, "fairness", kind)
    labels = [text(group, where, "name") for group in groups]
    if len(set(labels)) != len(labels):
        raise GateError(f"{where}: a name appears twice; measure again")
    found = {text(group, where, "attribute") for group in groups}
    if found != set(names):
        raise GateError(
            f"{where}: the sensitive attributes are {sorted(names)}, groups were measured for "
            f"{sorted(found)}; measure again"
        )
    return groups


def _groups(evaluation: object, kind: str) -> list[Json]:
    fairness = evaluation.get("fairness") if isinstance(evaluation, Mapping) else None
    groups = fairness.get(kind) if isinstance(fairness, Mapping) else None
    return list(groups) if isinstance(groups, list | tuple) else []


def _enough(group: Json, keys: Sequence[str], least: int) -> bool:
    sizes = [group.get(key) for key in keys]
    return all(isinstance(size, int) and size >= least for size in sizes)


def _everybody(evaluation: object) -> int:
    for part in items(evaluation, "evaluation", "slices"):
        if part.get("name") == ALL:
            return count(part, "slice all", "users")
    raise GateError(f"evaluation: slice {ALL!r} is missing; measure again")


def _quality(evaluation: object, group: Json, judged: int, config: GateConfig) -> Check:
    """NDCG of one group of users against that of all others."""
    name = QUALITY_GAP + text(group, _USERS, "name")
    where = f"{_USERS} {group['name']}"
    sizes = [count(group, where, key) for key in ("users", "others")]
    if min(sizes) < config.min_slice_users:
        return _too_few(name, f"{sizes[0]} users and {sizes[1]} others", config)
    metric = text(evaluation, "evaluation", "metric")
    difference = mapping(mapping(group, where, "differences"), where, metric)
    if [count(difference, where, key) for key in ("users", "others")] != sizes:
        raise GateError(f"{where}: not measured over the group's users; measure again")
    mine, rest = (number(difference, where, key) for key in ("group", "rest"))
    detail = f"{metric} of {mine:.4f} for {sizes[0]} users against {rest:.4f} for all others"
    value, lower, upper = (number(difference, where, key) for key in ("value", "lower", "upper"))
    gap = _gap(config.quality_gap)
    return _judged(name, (value, lower, upper), -gap * rest, gap, judged, detail)


def _exposure(evaluation: object, group: Json, judged: int, config: GateConfig) -> Check:
    """The exposure of one group of items against its share of what users wanted."""
    name = EXPOSURE_GAP + text(group, _ITEMS, "name")
    where = f"{_ITEMS} {group['name']}"
    users = count(group, where, "users")
    if users < config.min_slice_users:
        return _too_few(name, f"{users} users who wanted one of its items", config)
    difference = mapping(group, where, "exposure")
    if count(difference, where, "users") != _everybody(evaluation):
        raise GateError(f"{where}: not measured over all users; measure again")
    shown, wanted = (number(difference, where, key) for key in ("challenger", "reference"))
    detail = f"{shown:.1%} of exposure against {wanted:.1%} of what users wanted"
    if difference.get("relative_low") is None or difference.get("relative_high") is None:
        raise GateError(
            f"{where}: exposure over merit has no interval; {users} users who wanted one of its items are "
            "too few, raise gate.min_slice_users"
        )
    # The difference of a rare group is as noisy as its merit, however little of it is shown: take the ratio.
    ratio, low, high = (
        1.0 + number(difference, where, key) for key in ("relative", "relative_low", "relative_high")
    )
    # The end of a two-sided interval is a one-sided bound whose 5% is split over two.
    lower, upper = (ratio + (end - ratio) / widening(2) for end in (low, high))
    gap = _gap(config.exposure_gap)
    return _judged(name, (ratio, lower, upper), 1.0 - gap, gap, judged, detail)


def _judged(
    name: str,
    estimate: tuple[float, float, float],
    threshold: float,
    gap: float,
    judged: int,
    detail: str,
) -> Check:
    """Refuses where the upper bound, with its 5% split over all judged groups, lies below the threshold.

    ``estimate`` is a value with its one-sided 95% bounds.
    """
    value, lower, upper = estimate
    bound = value + widening(judged) * (upper - value)
    passed = bound >= threshold
    if value < threshold:
        detail += f"; a gap beyond {gap:.0%}" + (
            ", but within what chance makes"
            if passed
            else f", and its bound over {judged} groups is {bound:.4f}"
        )
    return Check(
        name=name,
        value=value,
        interval=(lower, upper),
        threshold=threshold,
        passed=passed,
        detail=detail + ".",
    )


def _too_few(name: str, found: str, config: GateConfig) -> Check:
    detail = f"{found} are too few to judge, {config.min_slice_users} are needed."
    return Check(name=name, passed=True, detail=detail)


def _gap(value: float | None) -> float:
    if value is None:
        raise GateError("this gap is switched off; set one to judge groups by it")
    return value
