"""The engine over a funnel whose every answer is known: batches, the ladder, refusals, swaps."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from slate.config.online import OnlineConfig
from slate.recommend.engine import NotReadyError, OverloadedError, ScoreRequest, Scores
from slate.recommend.online.admission import Admission
from slate.recommend.online.ladder import Ladder
from slate.recommend.online.online import Loaded, OnlineEngine
from slate.recommend.online.stages import Stages
from slate.recommend.request import Request, Slate, SlateItem
from tests.recommend.live.said import Said

CATALOGUE = [f"item {n}" for n in range(20)]
POPULAR = [(item, 1.0 - n / 100) for n, item in enumerate(CATALOGUE[:8])]


class Shelf:
    """A funnel that recommends the catalogue backwards to everybody. ``upset`` changes one stage's answer."""

    def __init__(self, name: str = "r-1") -> None:
        self.name = name
        self.batches: list[int] = []
        self.upset: dict[str, Callable[[Any], Any]] = {}

    def prepare(self, requests: Sequence[Request]) -> list[Request]:
        return list(requests)

    def retrieve(self, asks: Sequence[Request]) -> list[list[str]]:
        self.batches.append(len(asks))
        return self._said("retrieve", [CATALOGUE[::-1] for _ in asks])

    def filter(self, asks: Sequence[Request], found: list[list[str]]) -> list[list[str]]:
        kept = [[i for i in items if i not in ask.exclude] for ask, items in zip(asks, found, strict=True)]
        return self._said("filter", kept)

    def score(self, asks: Sequence[Request], kept: list[list[str]]) -> list[list[tuple[str, float]]]:
        if any(ask.user_id == "poison" for ask in asks):
            raise ValueError("this user breaks the model")
        return self._said("score", [[(item, 1.0 / n) for n, item in enumerate(k, 1)] for k in kept])

    def order(
        self, asks: Sequence[Request], requests: Sequence[Request], scored: list[list[tuple[str, float]]]
    ) -> list[Slate]:
        slates = [
            Slate(
                request.user_id,
                tuple(SlateItem(i, s, n, self.name) for n, (i, s) in enumerate(best[: request.k or 3], 1)),
                "personalised",
                self.name,
            )
            for request, best in zip(requests, scored, strict=True)
        ]
        assert len(asks) == len(slates)
        return self._said("order", slates)

    def score_items(self, requests: Sequence[ScoreRequest]) -> list[Scores]:
        return [Scores([1.0 for _ in r.item_ids], {}, self.name) for r in requests]

    def _said(self, stage: str, answer: Any) -> Any:
        return self.upset[stage](answer) if stage in self.upset else answer


def loaded(shelf: Shelf, ahead: Sequence[SlateItem] | None = None) -> Loaded:
    ladder = Ladder(shelf.name, POPULAR, 3, Said(slates={"ann": ahead or ()}))
    return Loaded(shelf.name, shelf, shelf, ladder, frozenset(CATALOGUE))


class Engine:
    """An engine with its shelf, and what it said of rungs."""

    def __init__(self, ahead: Sequence[SlateItem] | None = None, **config: Any) -> None:
        # Nothing is late on a busy machine unless a test wants it to be.
        patient = {f"{name}_ms": 5_000 for name in ("deadline", "retrieve", "filter", "score", "order")}
        self.config = OnlineConfig(**{**patient, **config})
        self.shelf = Shelf()
        self.fallen: list[tuple[str, str]] = []
        self.stages = Stages(self.config)
        self.engine = OnlineEngine(
            self.config, "stable", self.stages, fallen=lambda stage, why: self.fallen.append((stage, why))
        )
        self.engine.swap(loaded(self.shelf, ahead))

    def run(self, go: Callable[[OnlineEngine], Any]) -> Any:
        try:
            return asyncio.run(go(self.engine))
        finally:
            self.stages.close()


def items_of(slate: Slate) -> list[str]:
    return slate.item_ids


def test_a_slate_on_the_top_rung() -> None:
    made = Engine()

    async def go(engine: OnlineEngine) -> None:
        (answer,) = await engine.recommend([Request(user_id="ann", exclude=["item 19"])])
        assert items_of(answer.slate) == ["item 18", "item 17", "item 16"]
        assert (answer.slate.rung, answer.variant, answer.slate.release_id) == (
            "personalised",
            "stable",
            "r-1",
        )

    made.run(go)
    assert made.fallen == []


def test_what_waits_together_is_answered_together_and_in_its_place() -> None:
    made = Engine(lanes=1, batch=8)

    async def go(engine: OnlineEngine) -> None:
        asked = [Request(user_id=f"u{n}", k=1 + n % 4) for n in range(20)]
        answers = await engine.recommend(asked)
        assert [a.slate.user_id for a in answers] == [r.user_id for r in asked]
        assert [len(a.slate.items) for a in answers] == [r.k for r in asked]

    made.run(go)
    assert made.shelf.batches == [1, 8, 8, 3], "the first goes at once, the rest as the lane is free"


def test_the_loop_looks_at_what_came_while_it_gives_out_a_large_batch() -> None:
    made, at = Engine(lanes=1, batch=64), []

    async def go(engine: OnlineEngine) -> None:
        rounds = 0

        async def one(n: int) -> None:
            (answer,) = await engine.recommend([Request(user_id=f"u{n}")])
            assert answer.slate.user_id == f"u{n}"
            at.append(rounds)

        asked = [asyncio.create_task(one(n)) for n in range(61)]
        while len(at) < 61:
            rounds += 1
            await asyncio.sleep(0)
        await asyncio.gather(*asked)

    made.run(go)
    assert made.shelf.batches == [1, 60]
    assert max(Counter(at).values()) <= 8


def test_one_requests_trouble_is_not_that_of_its_neighbours() -> None:
    made = Engine(lanes=1)

    async def go(engine: OnlineEngine) -> None:
        answers = await engine.recommend([Request(user_id=u) for u in ("ann", "bob", "poison", "cat")])
        assert [a.slate.rung for a in answers] == ["personalised", "personalised", "popular", "personalised"]

    made.run(go)
    assert made.fallen == [("score", "failed")]


@pytest.mark.parametrize("stage", ["retrieve", "filter", "score", "order"])
@pytest.mark.parametrize(
    ("upset", "reasons"),
    [
        (lambda _: time.sleep(2), {"late"}),
        (lambda answer: (time.sleep(0.5), answer)[1], {"late"}),
        (lambda _: 1 // 0, {"failed"}),
        (lambda answer: [[] for _ in answer], {"empty", "failed", "invalid"}),
        (lambda _: None, {"failed", "invalid"}),
        (lambda answer: [*answer, *answer], {"failed", "invalid"}),
    ],
    ids=["hangs", "slow", "raises", "empty", "nothing", "too many"],
)
def test_a_stage_in_trouble_gives_a_labelled_slate_in_time(
    stage: str, upset: Callable[[Any], Any], reasons: set[str]
) -> None:
    in_time = {f"{name}_ms": 40 for name in ("retrieve", "filter", "score", "order")} | {"deadline_ms": 100}
    made = Engine(**(in_time if reasons == {"late"} else {}))
    made.shelf.upset[stage] = upset

    async def go(engine: OnlineEngine) -> None:
        began = time.monotonic()
        (answer,) = await engine.recommend([Request(user_id="bob", exclude=["item 0"])])
        assert time.monotonic() - began < 1, "it waited for the stage"
        assert answer.slate.rung == "popular"
        assert items_of(answer.slate) == ["item 1", "item 2", "item 3"]

    made.run(go)
    ((_, reason),) = made.fallen
    assert reason in reasons


def test_the_ladder_rung_by_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = [SlateItem("item 5", 0.9, 1, "two_tower"), SlateItem("item 6", 0.8, 2, "two_tower")]
    ladder = Ladder("r-1", POPULAR, 3, Said(slates={"ann": ahead}))

    def descend(**asked: Any) -> Slate:
        return asyncio.run(ladder.descend(Request(**asked)))

    assert descend(user_id="ann").rung == "precomputed"
    left = descend(user_id="ann", exclude=["item 5"])
    assert [(i.item_id, i.position) for i in left.items] == [("item 6", 1)]
    assert descend(user_id="ann", history=[]).rung == "popular", "her history is another now"
    assert descend(user_id="bob").rung == "popular"
    everything = descend(user_id="bob", exclude=[item for item, _ in POPULAR])
    assert (everything.rung, everything.items) == ("static", ())
    monkeypatch.setattr("slate.recommend.fallback.popular", lambda *_: 1 // 0)
    last = descend(user_id="bob", exclude=["item 0"], k=2)
    assert (last.rung, items_of(last)) == ("static", ["item 1", "item 2"])


@pytest.mark.parametrize(
    ("asked", "rung"),
    [
        ({"context": {"surface": "footer"}}, "precomputed"),
        ({"context": {"surface": "mail"}}, "precomputed"),
        ({"context": {"surface": "home"}}, "personalised"),
        ({"context": {"place": "footer"}}, "personalised"),
        ({}, "personalised"),
        ({"context": {"surface": "footer"}, "explain": True}, "personalised"),
        ({"context": {"surface": "footer"}, "k": 3}, "personalised"),
        ({"context": {"surface": "footer"}, "exclude": ["item 5"]}, "personalised"),
        ({"context": {"surface": "footer"}, "history": []}, "personalised"),
        ({"context": {"surface": "footer"}, "user_id": "bob"}, "personalised"),
    ],
)
def test_a_slate_made_ahead_answers_traffic_of_low_value(asked: dict[str, Any], rung: str) -> None:
    ahead = [SlateItem("item 5", 0.9, 1, "two_tower"), SlateItem("item 6", 0.8, 2, "two_tower")]
    made = Engine(ahead, precomputed_first={"surface": ("footer", "mail")})

    async def go(engine: OnlineEngine) -> None:
        (answer,) = await engine.recommend([Request(**{"user_id": "ann", "k": 2, **asked})])
        assert answer.slate.rung == rung

    made.run(go)
    assert made.fallen == []


def test_a_stage_that_hangs_for_good_fails_fast_once_its_slots_are_held() -> None:
    event = threading.Event()
    made = Engine(slots=2, score_ms=200, deadline_ms=1_000)
    made.shelf.upset["score"] = lambda answer: (event.wait(10), answer)[1]

    async def go(engine: OnlineEngine) -> None:
        for _ in range(2):
            await engine.recommend([Request(user_id="bob")])
        assert made.stages.slots["score"].stuck == 2
        began = time.monotonic()
        for _ in range(10):
            (answer,) = await engine.recommend([Request(user_id="bob")])
            assert answer.slate.rung == "popular"
        assert time.monotonic() - began < 1, "ten of them in less than five would have to wait"
        assert made.stages.slots["score"].stuck == 2
        event.set()
        while made.stages.slots["score"].stuck:
            await asyncio.sleep(0.005)
        made.shelf.upset.clear()
        (answer,) = await engine.recommend([Request(user_id="bob")])
        assert answer.slate.rung == "personalised", "and it recovers"

    made.run(go)
    assert made.fallen[2:] == [("score", "busy")] * 10


def test_a_swap_changes_what_comes_and_not_what_is_under_way() -> None:
    made = Engine()
    event = threading.Event()
    made.shelf.upset["filter"] = lambda answer: (event.wait(10), answer)[1]
    other = Shelf("r-2")

    async def go(engine: OnlineEngine) -> None:
        before = asyncio.create_task(
            engine.recommend([Request(user_id="ann"), Request(user_id="bob")], 5_000)
        )
        await asyncio.sleep(0.02)
        engine.swap(loaded(other))
        (after,) = await engine.recommend([Request(user_id="ann")])
        assert after.slate.release_id == "r-2"
        event.set()
        both = await before
        assert {a.slate.release_id for a in both} == {"r-1"}
        assert engine.release_id == "r-2"

    Engine.run(made, go)


def test_without_a_release_nothing_is_answered() -> None:
    made = Engine()

    async def go(engine: OnlineEngine) -> None:
        engine.withdraw()
        assert not engine.ready
        for call in (engine.recommend([Request()]), engine.score([ScoreRequest(["item 1"])])):
            with pytest.raises(NotReadyError, match="no release is loaded"):
                await call

    made.run(go)


def test_draining_refuses_and_waits_for_what_is_held() -> None:
    made = Engine()
    made.shelf.upset["score"] = lambda answer: (time.sleep(0.05), answer)[1]

    async def go(engine: OnlineEngine) -> None:
        held = asyncio.create_task(engine.recommend([Request(user_id="ann")]))
        await asyncio.sleep(0.01)
        drained = asyncio.create_task(engine.drain())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as refused:
            await engine.recommend([Request()])
        assert refused.value.draining
        assert not engine.ready
        await drained
        assert held.done()
        assert (await held)[0].slate.rung == "personalised"

    made.run(go)


def test_while_a_release_loads_who_cannot_wait_for_the_stages_gets_the_next_rung() -> None:
    made = Engine(lanes=1, ahead=[SlateItem("item 3", 0.5, 1, "two_tower")])
    event = threading.Event()
    made.shelf.upset["score"] = lambda answer: (event.wait(10), answer)[1]

    async def go(engine: OnlineEngine) -> None:
        engine.admission.learn(1, 2.0)
        held = [asyncio.create_task(engine.recommend([Request(user_id=f"u{n}")])) for n in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError):
            await engine.recommend([Request(user_id="ann")])
        with engine.admission.patient():
            answers = await engine.recommend([Request(user_id="ann"), Request(user_id="bob")])
            assert [answer.slate.rung for answer in answers] == ["precomputed", "popular"]
            with pytest.raises(OverloadedError):
                await engine.score([ScoreRequest(["item 1"])])
        event.set()
        assert [(await each)[0].slate.rung for each in held] == ["personalised"] * 3
        assert engine.admission.held == 0

    made.run(go)
    assert made.fallen == [("admission", "busy")] * 2


def test_admission_by_hand() -> None:
    admission = Admission(pending=10, seconds=1.0, largest=lambda: 4)
    admission.enter(10)
    with pytest.raises(OverloadedError, match="10 requests are held"):
        admission.enter(1)
    admission.leave(10)
    admission.learn(4, 0.8)
    assert admission.wait(3) == pytest.approx(0.6), "one size was seen: nothing is known to be fixed"
    admission.enter(5)
    with pytest.raises(OverloadedError) as refused:
        admission.enter(1)
    assert refused.value.retry_after == 2.0, "6 x 0.2 s, in whole seconds"
    admission.leave(3)
    admission.enter(1)
    assert admission.held == 3
    assert admission.refused == {"full": 1, "slow": 1}
    admission.draining = True
    with pytest.raises(OverloadedError):
        admission.enter(3)
    assert admission.refused["draining"] == 3


def test_what_a_batch_costs_beside_its_requests_is_waited_for_once_a_batch() -> None:
    admission = Admission(pending=1000, seconds=1.0, largest=lambda: 16)
    for size in [1, 16, 31] * 60:
        admission.learn(size, 0.010 + 0.005 * size)
    assert admission.wait(32) == pytest.approx(2 * 0.010 + 32 * 0.005, rel=0.02)
    assert admission.wait(33) == pytest.approx(3 * 0.010 + 33 * 0.005, rel=0.02)


def test_who_is_let_in_is_expected_to_wait_half_of_what_could_be_waited() -> None:
    admission = Admission(pending=100, seconds=1.0, largest=lambda: 10)
    admission.learn(10, 1.0)
    for _ in range(5):
        assert admission.refuses(1) is None
        admission.enter(1)
    refused = admission.refuses(1)
    assert str(refused) == "5 requests are held already; ask again later"
    assert admission.refused == {"slow": 1}
    assert admission.held == 5, "asking takes nobody in"


def test_while_a_release_loads_more_may_wait() -> None:
    now = [100.0]
    admission = Admission(pending=100, seconds=1.0, largest=lambda: 10, clock=lambda: now[0])
    admission.learn(10, 1.0)
    admission.enter(5)
    with admission.patient():
        now[0] += 60.0
        admission.enter(1)
        admission.enter(1)
        assert admission.refuses(1) is not None
    admission.leave(1)
    now[0] += 0.9
    assert admission.refuses(1) is None, "what has gathered is still to be answered"
    now[0] += 0.2
    admission.leave(1)
    assert admission.refuses(1) is not None, "and no more afterwards"


def test_while_a_release_loads_some_are_let_in_who_cannot_wait_for_the_stages() -> None:
    now = [100.0]
    admission = Admission(pending=10_000, seconds=1.0, largest=lambda: 10, clock=lambda: now[0])
    admission.learn(10, 1.0)
    admission.enter(7)
    assert admission.refuses(1, lower=True) is not None, "nothing loads"
    with admission.patient():
        assert admission.enter(1_900, lower=True) is False
        admission.leave(1_900)
        assert admission.refuses(1) is not None, "scores come from the stages alone"
        assert admission.enter(60, lower=True) is False
        with pytest.raises(OverloadedError):
            admission.enter(41, lower=True)
        admission.leave(65)
        assert admission.enter(1, lower=True) is True, "as long as the stages keep up they answer"
        admission.enter(4)
    assert admission.enter(40, lower=True) is False, "for a moment afterwards, too"
    now[0] += 1.1
    assert admission.refuses(1, lower=True) is not None
    with admission.patient():
        assert admission.refuses(1, lower=True) is not None, "whatever is tried every second"
    now[0] += 60
    with admission.patient():
        assert admission.refuses(2_000, lower=True) is None


def test_a_slow_estimate_never_locks_everybody_out() -> None:
    admission = Admission(pending=10, seconds=0.1, largest=lambda: 4)
    admission.learn(1, 60.0)
    admission.enter(1)
    admission.enter(1)
    admission.enter(1)
    with pytest.raises(OverloadedError):
        admission.enter(1)
