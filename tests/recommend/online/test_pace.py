"""The size of batches follows what stages take of them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.config.online import OnlineConfig
from slate.recommend.online.pace import Cost, Pace
from slate.recommend.online.stages import Stages
from slate.recommend.online.trouble import StageError
from slate.recommend.request import Request, Slate

batches = st.lists(st.tuples(st.integers(1, 64), st.floats(1e-6, 10.0)), min_size=1, max_size=30)


def test_the_part_with_the_least_room_decides() -> None:
    pace = Pace({"retrieve": 0.050, "filter": 0.015}, most=32)
    assert pace.most == 32, "nothing is known yet"
    pace.learn("retrieve", 10, 0.020)
    assert pace.most == 25
    pace.learn("filter", 10, 0.010)
    assert pace.most == 15
    pace.learn("filter", 10, 0.010)
    assert pace.most == 15


def test_a_large_batch_says_more_than_a_small_one() -> None:
    cost = Cost()
    assert cost.each == 0
    cost.learn(30, 0.060)
    cost.learn(1, 0.010)
    assert cost.each == pytest.approx((0.8 * 0.060 + 0.2 * 0.010) / (0.8 * 30 + 0.2 * 1))


@given(batches)
def test_an_estimate_lies_between_what_was_measured(learnt: list[tuple[int, float]]) -> None:
    cost = Cost()
    for requests, seconds in learnt:
        cost.learn(requests, seconds)
    each = [seconds / requests for requests, seconds in learnt]
    assert min(each) * (1 - 1e-9) <= cost.each <= max(each) * (1 + 1e-9)


@given(batches)
def test_a_batch_always_holds_somebody_and_never_too_many(learnt: list[tuple[int, float]]) -> None:
    pace = Pace({"score": 0.05}, most=32)
    for requests, seconds in learnt:
        pace.learn("score", requests, seconds)
        assert 1 <= pace.most <= 32


def test_it_finds_back_when_stages_are_fast_again() -> None:
    pace = Pace({"score": 0.05}, most=32)
    for expected in (16, 8, 4, 2, 1, 1):
        pace.learn("score", pace.most, 0.1, stopped=True)
        assert pace.most == expected
    for _ in range(50):
        pace.learn("score", pace.most, 0.001 * pace.most)
    assert pace.most == 32


class Slow:
    """A funnel whose scoring takes ``each`` seconds a request."""

    def __init__(self, each: float) -> None:
        self.each = each

    def prepare(self, requests: Sequence[Request]) -> list[Request]:
        return list(requests)

    def retrieve(self, asks: Sequence[Request]) -> list[Request]:
        return list(asks)

    def filter(self, _asks: Sequence[Request], found: list[Request]) -> list[Request]:
        return found

    def score(self, asks: Sequence[Request], kept: list[Request]) -> list[Request]:
        time.sleep(self.each * len(asks))
        return kept

    def order(self, _asks: Any, requests: Sequence[Request], _scored: Any) -> list[Slate]:
        return [Slate(request.user_id, (), "personalised", "r-1") for request in requests]


def test_a_stage_that_is_late_makes_the_next_batch_smaller() -> None:
    stages = Stages(OnlineConfig(deadline_ms=4_000, score_ms=50, batch=32))

    async def go() -> None:
        with pytest.raises(StageError, match="score: late"):
            await stages.slates(Slow(0.01), [Request()] * 32)
        assert stages.most <= 16

    try:
        asyncio.run(go())
    finally:
        stages.close()
