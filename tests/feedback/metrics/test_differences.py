"""Differences of variants, worked by hand, and how often their intervals hold the truth."""

import math
from datetime import date

import numpy as np
import pytest

from slate.feedback.metrics.differences import Difference, compared, difference
from slate.feedback.metrics.engagement import Engagement, Estimate, measure, wilson
from tests.feedback.metrics.test_engagement import FIRST, ROWS, rows_of

UNKNOWN = Estimate(None, None, None, 0)


def test_the_variants_of_a_period_by_hand() -> None:
    (found,) = compared(measure(rows_of(ROWS), date(2026, 6, 9), "all"))
    assert (found.variant, found.first, found.day) == ("candidate", "stable", None)
    # ann gave 0 and eve 6 to the candidate, ann 1 and bob 1 to stable.
    assert found.engagement.value == pytest.approx(3.0 - 1.0)
    assert found.engagement.low == pytest.approx(2.0 - 1.959964 * 3.0)
    assert found.engagement.high == pytest.approx(2.0 + 1.959964 * 3.0)
    assert found.positive.value == pytest.approx(3.0 - 2.0)
    assert found.negative.value == pytest.approx(0.0 + 1.0)


def test_stable_comes_first_wherever_it_stands_and_else_the_first_by_name() -> None:
    days = compared(measure(rows_of(ROWS), date(2026, 6, 9)))
    assert [(each.day, each.variant, each.first) for each in days] == [(FIRST, "candidate", "stable")]
    renamed = [(*row[:4], {"stable": "b", "candidate": "a"}[row[4]]) for row in ROWS]
    (found,) = compared(measure(rows_of(renamed), date(2026, 6, 9), "all"))
    assert (found.variant, found.first, found.engagement.value) == ("b", "a", pytest.approx(-2.0))
    assert compared([]) == []


def test_what_cannot_be_known_is_not_told() -> None:
    known, single = Estimate(0.5, 0.2, 0.7, 9), Estimate(0.25, None, None, 1)
    assert difference(known, UNKNOWN) == difference(UNKNOWN, known) == Difference(None, None, None)
    assert difference(known, single) == Difference(0.25, None, None)
    figures = (known, known, known, UNKNOWN, known)
    found = compared([Engagement(None, name, "all", 9, *figures) for name in ("candidate", "stable")])
    assert found[0].return_1 == Difference(None, None, None)
    assert found[0].return_7.value == 0.0


def test_shares_have_newcombes_interval() -> None:
    # Newcombe (1998), "Interval estimation for the difference between independent proportions", method 10.
    found = difference(wilson(56, 70), wilson(48, 80))
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    generator = np.random.default_rng(4)
    held = 0
    for _ in range(1000):
        ones, others = generator.exponential(2.0, 150), generator.exponential(1.5, 60)
        found = difference(of(ones), of(others))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert 920 <= held <= 980


def of(values: np.ndarray) -> Estimate:
    half = 1.959964 * float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half, len(values))
