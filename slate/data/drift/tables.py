"""Whole tables before and now: columns, rows, ids, and what a day or a user brings."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from slate.data.drift.figures import SAMPLES, Entities, Measured
from slate.data.drift.measures import CHANCE
from slate.data.statistics import RECENT_DAYS

_RECENT: Final = str(max(RECENT_DAYS))
#: Standard errors that a normal deviate passes, either way, in CHANCE of all cases.
_DEVIATES: Final = float(ndtri(1 - CHANCE / 2))


def schema(parent: Mapping[str, Any], current: Mapping[str, Any], *, gone: bool) -> Iterator[Measured]:
    """By table, how many feature columns are ``gone`` or of another kind; else how many are new."""
    if "schema" not in parent or "schema" not in current:
        yield Measured("", None, "not in the statistics of both")
        return
    for table, before in parent["schema"].items():
        now = current["schema"].get(table, {})
        if gone:
            changed = [
                f"{name} (gone)" if name not in now else f"{name} ({kind}, now {now[name]})"
                for name, kind in before.items()
                if now.get(name) != kind
            ]
        else:
            changed = [name for name in now if name not in before]
        yield Measured(table, float(len(changed)), samples=tuple(sorted(changed)[:SAMPLES]))


def shrunk(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Measured]:
    """By table, the share of its rows that went."""
    for table in ("interactions", "items", "users"):
        before, now = (_rows(side, table) for side in (parent, current))
        if not before or now is None:
            yield Measured(table, None, "rows are not in the statistics of both")
        else:
            yield Measured(table, max(0.0, 1 - now / before), f"{before:,} rows, now {now:,}")


def only_in(first: Entities | None, second: Entities | None, name: str) -> Iterator[Measured]:
    """The share of the first side's ids that the second lacks. Users are counted, never named."""
    if first is None or second is None:
        yield Measured("", None, "ids are compared with the last release only")
        return
    mine, theirs = set(getattr(first, name)), set(getattr(second, name))
    only = mine - theirs
    samples = tuple(sorted(only)[:SAMPLES]) if name == "items" else ()
    yield Measured("", len(only) / max(len(mine), 1), f"{len(only):,} of {len(mine):,}", samples)


def rows_per_day(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Measured]:
    """The relative change of interactions a day over the last 28 days."""
    yield _change(parent, current, "recent_rows_per_day")


def engagement(parent: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[Measured]:
    """The relative change of engagement per active user over the last 28 days."""
    found = _change(parent, current, "recent_engagement")
    mean = _recent(parent, "recent_engagement")
    before, now = (_recent(side, "recent_engagement_error") for side in (parent, current))
    if found.value is not None and mean and before is not None and now is not None:
        found = found._replace(chance=_DEVIATES * float(np.hypot(before, now)) / abs(mean))
    yield found


def _change(parent: Mapping[str, Any], current: Mapping[str, Any], key: str) -> Measured:
    before, now = _recent(parent, key), _recent(current, key)
    if before is None or now is None:
        return Measured("", None, "not in the statistics of both")
    if before == 0:
        return Measured("", None, "was 0 before, so there is no relative change")
    return Measured("", abs(now - before) / abs(before), f"{before:,.3g}, now {now:,.3g}")


def _recent(side: Mapping[str, Any], key: str) -> float | None:
    found: float | None = side.get("interactions", {}).get(key, {}).get(_RECENT)
    return found


def _rows(side: Mapping[str, Any], table: str) -> int | None:
    """Rows of a table; the first version of statistics counted interactions only."""
    rows: int | None = side.get("rows", {}).get(table)
    return side.get("interactions", {}).get("rows") if rows is None and table == "interactions" else rows
