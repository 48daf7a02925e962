"""Engagement per active user and how many come back, by variant, day and slice, with intervals.

A user is active on a day (UTC) who was shown a slate or made something of one: whoever was shown slates and
did nothing counts, as zero. A user's engagement is the sum of the weights of what that user did; the mean
over the active users is the metric. A mean over users has the interval ``mean -+ 1.96 s / sqrt(n)``, which
treats users as independent (the central limit theorem); a share of users has Wilson's (Wilson, 1927).
"""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from slate import columns
from slate.data import engine
from slate.data.engagement import ALL, labelled
from slate.feedback.metrics.log import VARIANT

By = Literal["day", "all"]

_Z: Final = 1.959963984540054
_DAY: Final = "day"
_SLICE: Final = "slice"


@dataclass(frozen=True)
class Estimate:
    """A mean or a share over ``users``, with its two-sided 95% interval; None where it cannot be known."""

    value: float | None
    low: float | None
    high: float | None
    users: int


@dataclass(frozen=True)
class Engagement:
    """One variant on one day in one slice; ``day`` is None for the whole period.

    ``positive`` and ``negative`` add up to ``engagement``: a mean hides that likes and reports rise together.
    ``return_1`` is the share of the active who were active the day after, ``return_7`` within seven days;
    over the whole period, of each user's first day in it.
    """

    day: date | None
    variant: str
    slice: str
    users: int
    engagement: Estimate
    positive: Estimate
    negative: Estimate
    return_1: Estimate
    return_7: Estimate


def measure(
    rows: pa.Table,
    until: date,
    by: By = "day",
    entities: pa.Table | None = None,
    attribute: str | None = None,
) -> list[Engagement]:
    """Engagement by day (or over all days), variant and slice, sorted in this order.

    Args:
        rows: as :func:`slate.feedback.metrics.log.read_rows` gives them.
        until: the last day that the rows know whole; nobody can have returned after it.
        entities: the users or items table that holds ``attribute``.
        attribute: what makes the slices, as in :func:`slate.data.engagement.over`. Of an item's attribute
            those are active who did something with such items.

    Raises:
        DataError: there is no such attribute.
    """
    if rows.num_rows == 0:
        return []
    connection = engine.connect()
    table: ir.Table = connection.create_table("rows", rows)
    table = table.mutate(day=table[columns.TIMESTAMP].date())
    returns = _returns(table, until)
    label: ir.Value = ibis.literal(ALL)
    if attribute is not None:
        if entities is not None and columns.ITEM in entities.column_names:
            table = table.filter(table[columns.ITEM].notnull())
        table, label = labelled(connection, table, entities, attribute)
    days = _user_days(table.mutate(slice=label)).left_join(returns, [columns.USER, _DAY])
    users = days if by == "day" else _user_periods(days)
    keys = [_DAY, VARIANT, _SLICE] if by == "day" else [VARIANT, _SLICE]
    found = _aggregated(users, keys).order_by(*keys).to_pyarrow().to_pylist()
    return [_engagement(row) for row in found]


def _user_days(table: ir.Table) -> ir.Table:
    """A row a user, day, variant and slice: sums of positive and negative weights."""
    weight, zero = table[columns.WEIGHT], ibis.literal(0.0)
    return table.group_by(_DAY, VARIANT, _SLICE, columns.USER).aggregate(
        positive=(weight > 0).ifelse(weight, zero).sum(),
        negative=(weight < 0).ifelse(weight, zero).sum(),
    )


def _returns(table: ir.Table, until: date) -> ir.Table:
    """A row a user and day: whether the user was active the day after, and within seven, with any variant.

    Null where those days are not over.
    """
    active = table.select(columns.USER, _DAY).distinct()
    following = active[_DAY].lead().over(ibis.window(group_by=columns.USER, order_by=_DAY))
    active = active.mutate(gap=following.delta(active[_DAY], unit="day"))
    end, unknown = ibis.literal(until), ibis.null("float64")

    def within(days: int) -> ir.Value:
        back = (active["gap"] <= days).fill_null(False).cast("float64")
        return (active[_DAY] + ibis.interval(days=days) <= end).ifelse(back, unknown)

    return active.select(columns.USER, _DAY, return_1=within(1), return_7=within(7))


def _user_periods(days: ir.Table) -> ir.Table:
    """A row a user, variant and slice: sums over all days, and whether the user came back after the first."""
    return days.group_by(VARIANT, _SLICE, columns.USER).aggregate(
        positive=days["positive"].sum(),
        negative=days["negative"].sum(),
        return_1=days["return_1"].argmin(days[_DAY]),
        return_7=days["return_7"].argmin(days[_DAY]),
    )


def _aggregated(users: ir.Table, keys: list[str]) -> ir.Table:
    users = users.mutate(engagement=users["positive"] + users["negative"])
    figures: dict[str, ir.Value] = {}
    for name in ("engagement", "positive", "negative"):
        figures |= {f"{name}_mean": users[name].mean(), f"{name}_deviation": users[name].std(how="sample")}
    for name in ("return_1", "return_7"):
        figures |= {f"{name}_back": users[name].sum(), f"{name}_users": users[name].count()}
    return users.group_by(*keys).aggregate(users=users[columns.USER].count(), **figures)


def _engagement(row: dict[str, Any]) -> Engagement:
    users = int(row["users"])
    means = (
        _mean(row[f"{name}_mean"], row[f"{name}_deviation"], users)
        for name in ("engagement", "positive", "negative")
    )
    shares = (wilson(row[f"{name}_back"] or 0, row[f"{name}_users"]) for name in ("return_1", "return_7"))
    return Engagement(row.get(_DAY), row[VARIANT], row[_SLICE], users, *means, *shares)


def _mean(value: float, deviation: float | None, users: int) -> Estimate:
    if users < 2 or deviation is None:
        return Estimate(value, None, None, users)
    half = _Z * deviation / math.sqrt(users)
    return Estimate(value, value - half, value + half, users)


def wilson(successes: float, users: int) -> Estimate:
    """A share of users with Wilson's 95% score interval.

    >>> found = wilson(8, 10)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.8, 0.49, 0.943)
    """
    if users == 0:
        return Estimate(None, None, None, 0)
    share, square = successes / users, _Z * _Z
    centre = (share + square / (2 * users)) / (1 + square / users)
    half = _Z * math.sqrt(share * (1 - share) / users + square / (4 * users * users)) / (1 + square / users)
    return Estimate(share, max(centre - half, 0.0), min(centre + half, 1.0), users)
