"""Four stages of a real release, six kinds of trouble beneath each, under concurrent requests: 24 of 24.

The online state beside them has cells of its own: there trouble may cost freshness, and no rung.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slate.config.online import OnlineConfig
from slate.feedback.state import Happened
from slate.ranking.scorer import Ranker
from slate.recommend.filters.base import Filtered
from slate.recommend.filters.seen import SeenFilter
from slate.recommend.live.lookups import Lookups
from slate.recommend.live.online import OnlineLive
from slate.recommend.online.host import Host
from slate.recommend.online.ladder import PERSONALISED, RUNGS
from slate.recommend.online.load import Surroundings, load
from slate.recommend.online.online import Loaded
from slate.recommend.ordering.exploration import Explored
from slate.recommend.request import Request
from slate.recommend.stages import order
from slate.release.verify import verify_directory
from slate.retrieval.index import CandidateIndex
from tests.conftest import TinyRun
from tests.recommend.live.states import Breakable, Hangs
from tests.recommend.live.states import raises as is_gone

REQUESTS, ROUNDS = 8, 3
TIGHT = OnlineConfig(deadline_ms=400, retrieve_ms=150, filter_ms=150, score_ms=150, order_ms=150)
EXCLUDED = "film 03, é"

Trouble = Callable[[Callable[..., Any]], Callable[..., Any]]


def hangs(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **named: (time.sleep(10), right(*given, **named))[1]


def slow(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **named: (time.sleep(0.3), right(*given, **named))[1]


def raises(_: Callable[..., Any]) -> Callable[..., Any]:
    def broken(*_given: Any, **_named: Any) -> Any:
        raise RuntimeError("this part is broken")

    return broken


def changed(change: Callable[[Any], Any]) -> Trouble:
    return lambda right: lambda *given, **named: change(right(*given, **named))


def _found(**values: Any) -> Trouble:
    return changed(lambda found: replace(found, **{k: v(found) for k, v in values.items()}))


def _scored(change: Callable[[Any], Any]) -> Trouble:
    return changed(lambda scores: replace(scores, score=change(scores.score)))


OUTSIDE = np.array([-1, 10**6], np.int64)
#: Stage to the part beneath it, and what is empty, not a number and garbage in its terms.
STAGES: dict[str, tuple[type | Any, str, dict[str, Trouble]]] = {
    "retrieve": (
        CandidateIndex,
        "search",
        {
            "empty": _found(lengths=lambda found: np.zeros_like(found.lengths)),
            "NaN": _found(scores=lambda found: np.full_like(found.scores, np.nan)),
            "garbage": _found(rows=lambda found: np.full_like(found.rows, 10**6)),
        },
    ),
    "filter": (
        SeenFilter,
        "apply",
        {
            "empty": changed(lambda split: Filtered.by(np.ones(split.candidates, np.bool_))),
            "NaN": changed(lambda split: Filtered(split.candidates, np.full(split.candidates, np.nan))),
            "garbage": changed(lambda split: Filtered(split.candidates, OUTSIDE)),
        },
    ),
    "score": (
        Ranker,
        "score",
        {
            "empty": _scored(lambda score: score[:, :0]),
            "NaN": _scored(lambda score: np.full_like(score, np.nan)),
            "garbage": changed(lambda _: "scores"),
        },
    ),
    "order": (
        order,
        "explored",
        {
            "empty": changed(lambda picked: Explored(picked.places[:0], picked.propensities[:0])),
            "NaN": changed(lambda picked: picked._replace(places=np.full(len(picked.places), np.nan))),
            "garbage": changed(lambda picked: picked._replace(places=OUTSIDE)),
        },
    ),
}
CELLS = [
    (stage, kind, trouble)
    for stage, (_, _, own) in STAGES.items()
    for kind, trouble in {"hangs": hangs, "slow": slow, "raises": raises, **own}.items()
]


#: What the release makes good by itself: similarities are computed again from the embeddings.
MENDED = {("retrieve", "NaN")}


@pytest.fixture(scope="module")
def release(tiny: TinyRun) -> Loaded:
    folder = Path(tiny.store) / "releases" / tiny.release_id
    return load(folder, verify_directory(folder))


@pytest.mark.parametrize(
    ("stage", "kind", "trouble"), CELLS, ids=[f"{stage} {kind}" for stage, kind, _ in CELLS]
)
def test_every_answer_is_labelled_and_in_time(
    release: Loaded, monkeypatch: pytest.MonkeyPatch, stage: str, kind: str, trouble: Trouble
) -> None:
    owner, name, _ = STAGES[stage]

    async def go() -> None:
        fallen: list[tuple[str, str]] = []
        host = Host(TIGHT, "stable", fallen=lambda *why: fallen.append(why))
        host.engine.swap(release)
        monkeypatch.setattr(owner, name, trouble(getattr(owner, name)))
        took: list[float] = []

        async def one(number: int) -> None:
            began = time.monotonic()
            (answer,) = await host.engine.recommend([Request(user_id=f"p{number}", k=4, exclude=[EXCLUDED])])
            took.append(time.monotonic() - began)
            slate = answer.slate
            assert slate.rung in RUNGS
            assert slate.rung != PERSONALISED or (stage, kind) in MENDED, f"{stage} {kind} went unnoticed"
            assert len(slate.items) == 4
            assert EXCLUDED not in slate.item_ids
            assert np.isfinite([item.score for item in slate.items]).all()

        for _ in range(ROUNDS):
            await asyncio.gather(*(one(number) for number in range(REQUESTS)))
        assert len(took) == REQUESTS * ROUNDS
        assert max(took) < 5, "it waited for the stage"
        for slots in host.stages.slots.values():
            assert slots.stuck <= TIGHT.slots
        assert host.stages._workers.count <= 4 * TIGHT.slots
        host.stages.close()

    asyncio.run(go())


def test_there_are_24() -> None:
    assert len(CELLS) == 24


LIVE = OnlineConfig(deadline_ms=5_000, retrieve_ms=4_000, score_ms=4_000, live_ms=50, slots=2)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Breakable:
    made = Breakable(tmp_path_factory.mktemp("state") / "state.db")
    made.real.remember({f"p{n}": [Happened("e", EXCLUDED, "watch", 1.8e9)] for n in range(REQUESTS)}, 9)
    return made


@pytest.fixture(scope="module")
def live_release(tiny: TinyRun, state: Breakable) -> tuple[Loaded, OnlineLive]:
    folder = Path(tiny.store) / "releases" / tiny.release_id
    live = OnlineLive(lambda: state, LIVE)
    return load(folder, verify_directory(folder), Surroundings(live)), live


@pytest.mark.parametrize("kind", ["hangs", "slow", "raises"])
@pytest.mark.parametrize("rung", ["personalised", "popular"])
def test_trouble_of_the_state_costs_freshness_and_no_rung(
    live_release: tuple[Loaded, OnlineLive],
    state: Breakable,
    monkeypatch: pytest.MonkeyPatch,
    rung: str,
    kind: str,
) -> None:
    release, live = live_release
    hangs_until_released = Hangs()
    troubles = {"hangs": hangs_until_released, "slow": lambda: time.sleep(0.2), "raises": is_gone}
    monkeypatch.setattr(state, "trouble", troubles[kind])
    failed: list[tuple[str, str]] = []
    asks = Lookups(live._asked, LIVE.slots, LIVE.live_ms / 1000, lambda *why: failed.append(why))
    monkeypatch.setattr(live, "_lookups", asks)
    if rung == "popular":
        monkeypatch.setattr(Ranker, "score", raises(Ranker.score))

    async def go() -> None:
        host = Host(LIVE, "stable", live=live)
        host.engine.swap(release)

        async def one(number: int) -> None:
            (answer,) = await host.engine.recommend([Request(user_id=f"p{number}", k=4)])
            assert (answer.slate.rung, len(answer.slate.items)) == (rung, 4)

        began = time.monotonic()
        for _ in range(ROUNDS):
            await asyncio.gather(*(one(number) for number in range(REQUESTS)))
        assert time.monotonic() - began < 15, "it waited for the state"
        assert failed
        assert asks._threads.held <= LIVE.slots
        host.stages.close()

    asyncio.run(go())
    hangs_until_released.released.set()
