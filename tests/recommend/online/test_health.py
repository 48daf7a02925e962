"""Golden requests say whether answers are right; live state and failing sources make others, not wrong."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slate.config.online import OnlineConfig
from slate.data.vocabulary import IdMap
from slate.recommend.filters.unavailable import UnavailableFilter
from slate.recommend.online.batches import Batches
from slate.recommend.online.health import HealthCheck
from slate.recommend.online.stages import Stages
from slate.recommend.request import Request
from tests.recommend.online.test_engine import Shelf

AT = "2024-02-06T12:00:00+00:00"
PATIENT = OnlineConfig(deadline_ms=20_000, retrieve_ms=9_000, filter_ms=9_000, score_ms=9_000, order_ms=9_000)


class Watched(Shelf):
    """Keeps what it was asked; ``broken`` counts a source's failure with every request."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Request] = []
        self.broken = False
        self.failures = 0

    def prepare(self, requests: Sequence[Request]) -> list[Request]:
        self.asked += requests
        self.failures += self.broken
        return super().prepare(requests)


def golden(score: float) -> list[dict[str, Any]]:
    items = [{"item_id": "item 19", "score": score}]
    request = {"user_id": "ann", "k": 1, "at": AT}
    return [{"request": request, "response": {"items": items}, "tolerance": 0.001}]


def check(shelf: Watched, score: float) -> str:
    stages = Stages(PATIENT)
    try:
        health = HealthCheck(
            Batches(shelf, stages, 1), stages, golden(score), 20, failures=lambda: shelf.failures
        )
        return asyncio.run(health.once())
    finally:
        stages.close()


def test_right_is_healthy_and_wrong_is_not() -> None:
    assert check(Watched(), 1.0) == ""
    assert check(Watched(), 0.9) == "golden request of user 'ann' is answered otherwise than it was"


def test_an_answer_without_a_source_is_another_and_not_wrong() -> None:
    shelf = Watched()
    shelf.broken = True
    assert check(shelf, 0.9) == ""
    shelf.upset["order"] = lambda slates: [replace(slate, items=()) for slate in slates]
    assert check(shelf, 0.9) == "golden request of user 'ann' is answered by nothing"


def test_live_state_is_left_out_of_golden_requests(make_ask: Callable[..., Any]) -> None:
    shelf = Watched()
    check(shelf, 1.0)
    assert [request.live for request in shelf.asked] == [False]

    class Down:
        def unavailable(self) -> list[str]:
            return ["b"]

    rows = np.arange(3, dtype=np.int32)
    filtering = UnavailableFilter(IdMap(("a", "b", "c")), np.asarray([False, False, True]), Down())
    assert filtering.apply(make_ask(), rows).removed.tolist() == [1, 2]
    assert filtering.apply(replace(make_ask(), live=False), rows).removed.tolist() == [2]


def test_a_golden_request_is_answered_together_with_whoever_waits() -> None:
    shelf = Watched()
    stages = Stages(PATIENT)
    batches = Batches(shelf, stages, 1)
    health = HealthCheck(batches, stages, golden(1.0), 20)

    async def go() -> None:
        ends = asyncio.get_running_loop().time() + 20
        first, second, checked = await asyncio.gather(
            *(batches.answer(Request(user_id=user), ends) for user in ("bob", "cat")), health.once()
        )
        assert (first.user_id, second.user_id, checked) == ("bob", "cat", "")

    asyncio.run(go())
    assert shelf.batches == [1, 2]
    stages.close()


def test_late_is_unhealthy_only_where_nothing_can_come_back() -> None:
    shelf = Watched()
    stages = Stages(PATIENT.model_copy(update={"score_ms": 60.0, "slots": 1}))
    batches = Batches(shelf, stages, 1)
    event = threading.Event()
    shelf.upset["score"] = lambda answer: (event.wait(10), answer)[1]

    async def go() -> None:
        assert await HealthCheck(batches, stages, golden(1.0), 0.01).once() == "", "there is much to do"
        while not batches.idle:
            await asyncio.sleep(0.005)
        assert "score: busy" in await HealthCheck(batches, stages, golden(1.0), 20).once()
        event.set()
        while stages.slots["score"].stuck:
            await asyncio.sleep(0.005)
        assert await HealthCheck(batches, stages, golden(1.0), 20).once() == ""

    asyncio.run(go())
    stages.close()


@pytest.mark.parametrize("user", [None, "bob"])
def test_who_is_asked_for_is_who_the_request_names(user: str | None) -> None:
    shelf = Watched()
    stages = Stages(PATIENT)
    (case,) = golden(1.0)
    case["request"]["user_id"] = user
    assert asyncio.run(HealthCheck(Batches(shelf, stages, 1), stages, [case], 20).once()) == ""
    assert [(each.user_id, each.history) for each in shelf.asked] == [(user, () if user is None else None)]
    stages.close()
