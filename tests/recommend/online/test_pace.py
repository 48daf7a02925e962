"""The size of batches follows what stages take of them."""

import asyncio
import math
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


def test_cost_by_hand() -> None:
    cost = Cost()
    assert (cost.each, cost.more, cost.fixed, cost.within(1.0)) == (0, 0, 0, math.inf)
    cost.learn(10, 0.050)
    assert (cost.each, cost.more, cost.fixed) == pytest.approx((0.005, 0.005, 0.0))
    cost.learn(20, 0.080)
    # Means of sizes, seconds, squares and products, the newer batch weighing a tenth.
    sizes, seconds, squares, products = 11, 0.053, 0.9 * 100 + 0.1 * 400, 0.9 * 0.5 + 0.1 * 1.6
    variance, covariance = squares - sizes**2, products - sizes * seconds
    assert (variance, covariance) == pytest.approx((9, 0.027)), "the slope is 0.003 by itself"
    each = seconds / sizes
    more = (covariance + each) / (variance + 1)
    assert (cost.each, cost.more, cost.fixed) == pytest.approx((each, more, seconds - more * sizes))
    assert cost.within(0.1) == pytest.approx((0.1 - cost.fixed) / more)


def test_a_cost_is_learnt_from_batches_of_different_sizes() -> None:
    cost = Cost()
    for size in [2, 9, 30] * 30:
        cost.learn(size, 0.006 + 0.003 * size)
    assert cost.more == pytest.approx(0.003, rel=0.02)
    assert cost.fixed == pytest.approx(0.006, rel=0.1)
    assert cost.within(0.066) == pytest.approx(20, rel=0.02)


@given(batches)
def test_an_estimate_lies_between_what_was_measured(learnt: list[tuple[int, float]]) -> None:
    cost = Cost()
    for requests, seconds in learnt:
        cost.learn(requests, seconds)
    each = [seconds / requests for requests, seconds in learnt]
    assert min(each) * (1 - 1e-9) <= cost.each <= max(each) * (1 + 1e-9)
    assert 0 < cost.more <= cost.each
    assert cost.fixed >= -1e-9


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
    for _ in range(100):
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
