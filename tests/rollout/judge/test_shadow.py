"""How alike two slates are, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.rollout.judge.shadow import Answer, Compared, liken, overlap, rank_biased_overlap

LISTS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)


def answer(items: str, *scores: float, ms: float = 10.0) -> Answer:
    return Answer(tuple(items), scores or tuple(float(place) for place in range(len(items))), ms)


def test_likeness_by_hand() -> None:
    pairs = [
        Compared(answer("ab", 2.0, 1.0), answer("ba", 2.0, 1.0, ms=20.0)),
        Compared(answer("ab", 2.0, 1.0), answer("cd", 4.0, 3.0, ms=20.0)),
        Compared(answer("ab"), None),
        Compared(answer("ab"), answer("ab", 1.0, math.nan)),
    ]
    found = liken(pairs, k=2, persistence=0.9)
    assert (found.requests, found.failed, found.overlap) == (4, 0.5, 0.5)
    assert found.rank_biased == pytest.approx((0.9 + 0.0) / 2)
    assert found.score_drift == 0.5
    assert found.slower == pytest.approx(1.0)


def test_nothing_compared_is_nothing_known() -> None:
    assert math.isnan(liken([], 10, 0.9).failed)
    dead = liken([Compared(answer("ab"), None)], 10, 0.9)
    assert dead.failed == 1.0
    assert math.isnan(dead.overlap)


@given(LISTS, LISTS, st.floats(0.1, 0.95))
def test_overlaps_are_shares_and_do_not_care_who_is_first(a: list[str], b: list[str], p: float) -> None:
    for found, back in (
        (rank_biased_overlap(a, b, p), rank_biased_overlap(b, a, p)),
        (overlap(a, b, 4), overlap(b, a, 4)),
    ):
        assert 0 <= found <= 1 + 1e-9
        assert found == pytest.approx(back)
    assert rank_biased_overlap(a, a, p) == pytest.approx(1.0)


def test_the_top_counts_most() -> None:
    top, bottom = rank_biased_overlap("abcd", "abxy", 0.8), rank_biased_overlap("abcd", "xycd", 0.8)
    assert top > bottom
