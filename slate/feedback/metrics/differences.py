"""How far each variant's engagement lies from the first one's, with intervals.

The interval of a difference comes from those of both figures (Zou and Donner, "Construction of confidence
limits about effect measures", Statistics in Medicine 2008)::

    low = d - sqrt((a - low_a)^2 + (high_b - b)^2),  high = d + sqrt((high_a - a)^2 + (b - low_b)^2)

for ``d = a - b``. Of two means it is the usual one, of two shares that of Newcombe (1998). The variants'
users are taken as independent: who was moved from one to the other within the period counts in both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from slate.feedback.metrics.engagement import Engagement, Estimate

#: What others are compared with where it is there.
_FIRST: Final = "stable"


@dataclass(frozen=True)
class Difference:
    """A figure of one variant less that of another; None where either cannot be known."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Compared:
    """Figures of ``variant`` less those of ``first``, on one day in one slice; see :class:`Engagement`."""

    day: date | None
    slice: str
    variant: str
    first: str
    engagement: Difference
    positive: Difference
    negative: Difference
    return_1: Difference
    return_7: Difference


def compared(found: Sequence[Engagement]) -> list[Compared]:
    """Every variant against ``stable``, or against the first by name without one, in the order found."""
    first: dict[tuple[date | None, str], Engagement] = {}
    for each in found:
        key = (each.day, each.slice)
        if key not in first or each.variant == _FIRST:
            first[key] = each
    return [
        _compared(each, first[each.day, each.slice])
        for each in found
        if each.variant != first[each.day, each.slice].variant
    ]


def _compared(one: Engagement, first: Engagement) -> Compared:
    return Compared(
        one.day,
        one.slice,
        one.variant,
        first.variant,
        difference(one.engagement, first.engagement),
        difference(one.positive, first.positive),
        difference(one.negative, first.negative),
        difference(one.return_1, first.return_1),
        difference(one.return_7, first.return_7),
    )


def difference(one: Estimate, other: Estimate) -> Difference:
    """The difference of two figures with its 95% interval.

    >>> found = difference(Estimate(0.7, 0.6, 0.8, 90), Estimate(0.5, 0.4, 0.6, 90))
    >>> round(found.value, 2), round(found.low, 3), round(found.high, 3)
    (0.2, 0.059, 0.341)
    """
    if one.value is None or other.value is None:
        return Difference(None, None, None)
    value = one.value - other.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Difference(value, None, None)
    down = math.hypot(one.value - one.low, other.high - other.value)
    up = math.hypot(one.high - one.value, other.value - other.low)
    return Difference(value, value - down, value + up)
