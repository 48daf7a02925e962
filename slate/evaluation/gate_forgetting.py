"""The gate's rule on what an incremental release forgot of what its parent knew."""

from collections.abc import Mapping

from slate.config import GateConfig
from slate.errors import GateError
from slate.evaluation.evidence import count, mapping, number, text
from slate.release.verdict import Check

_WHERE = "forgetting"


def forgetting(measured: Mapping[str, object] | None, parent: str | None, config: GateConfig) -> Check:
    """Refuse a loss beyond ``gate.forgetting_margin`` that is more than chance makes.

    Raises:
        GateError: it was not measured, or against another release than the run started from.
    """
    if measured is None:
        raise GateError(
            f"{_WHERE}: was not measured; keep users out of training with split.unseen_users, who were there "
            "before the parent's training ended"
        )
    against = text(measured, _WHERE, "parent")
    if against != parent:
        raise GateError(f"{_WHERE}: was measured against {against}, but the run started from {parent}")
    if count(measured, _WHERE, "targets") == 0:
        detail = "None of the users is in the share that is kept out of training: too few to judge."
        return Check(name=_WHERE, passed=True, detail=detail)
    difference = mapping(measured, _WHERE, "difference")
    users = count(difference, _WHERE, "users")
    what = f"{text(measured, _WHERE, 'metric')} on what {users} users who are never trained on did up to "
    what += text(measured, _WHERE, "train_end")[:10]
    mine, theirs, value = (number(difference, _WHERE, key) for key in ("challenger", "reference", "value"))
    if users < config.min_slice_users:
        return Check(
            name=_WHERE,
            value=value,
            passed=True,
            detail=f"{what}: {mine:.4f} against the parent's {theirs:.4f}, too few to judge; "
            f"{config.min_slice_users} are needed.",
        )
    lower, upper = (number(difference, _WHERE, key) for key in ("lower", "upper"))
    threshold = -config.forgetting_margin * theirs
    passed = value >= threshold or upper >= 0
    return Check(
        name=_WHERE,
        value=value,
        interval=(lower, upper),
        threshold=threshold,
        passed=passed,
        detail=f"{what}: {mine:.4f} against the parent's {theirs:.4f}"
        + (
            "."
            if passed
            else f"; a loss of {config.forgetting_margin:.0%} is exceeded: raise incremental.replay."
        ),
    )
