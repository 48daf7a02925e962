"""All sources, filters and orderings over a real release, in the planted world of the tiny run.

People there mostly watch films in catalogue order, so what is close to film n are the films after it.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.config import RecommendConfig, parse_section
from slate.data.holdout import Split
from slate.errors import ConfigError, ReleaseError
from slate.recommend.engine import ScoreRequest
from slate.recommend.live import LiveUser
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request
from slate.release.resolve import open_verified
from slate.retrieval.sources.write import write_sources
from slate.storage import open_store
from tests.recommend.live.said import Said

AT = datetime(2024, 6, 1, tzinfo=UTC)
FILMS = 60
SOURCES: Mapping[str, Any] = {
    "two_tower": {"count": 15},
    "co_occurrence": {"count": 5, "window": 4},
    "item2vec": {"count": 5, "window": 3, "dim": 16, "epochs": 20},
    "popular": {"count": 4},
    "fresh": {"count": 3},
}

Open = Callable[..., Recommender]


def film(number: int) -> str:
    return f"film {number % FILMS:02d}, é"


@pytest.fixture(scope="module")
def content(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release's folder with the tables of all sources."""
    folder = tmp_path_factory.mktemp("parts") / "content"
    shutil.copytree(open_verified("stable", open_store(tiny.store)).path, folder)
    split = Split.open(tiny.folders["splits"])
    config = parse_section(RecommendConfig, {"sources": SOURCES})
    write_sources(config, split, split.user_log(), ["watch"], folder)
    return folder


@pytest.fixture(scope="module")
def opened(tiny: Any, content: Path) -> Open:
    """Opens that folder with some settings of ``recommend``."""

    def open_with(**recommend: Any) -> Recommender:
        sections = tiny.sections(recommend=recommend)
        return Recommender(content, sections, "parts", recommend.pop("live", None))

    return open_with


@pytest.fixture(scope="module")
def everything(opened: Open) -> Recommender:
    return opened(
        sources=SOURCES,
        diversity=0.2,
        freshness={"boost": 0.3},
        caps={"genre": 3},
        exploration={"rate": 0.5, "pool": 8},
    )


@pytest.mark.parametrize("name", ["co_occurrence", "item2vec"])
def test_neighbours_of_a_film_are_those_around_it(opened: Open, name: str) -> None:
    alone = opened(sources={"two_tower": {"count": 0}, name: {**SOURCES[name], "recent": 1}})
    around = 0
    for number in range(FILMS):
        ask = alone.ask(Request(history=[film(number)], at=AT))
        (found,) = alone.funnel.filter([ask], alone.funnel.retrieve([ask]))
        ids = alone.catalogue.ids.to_ids(found.rows)
        assert film(number) not in ids
        near = {film(number + step) for step in (-4, -3, -2, -1, 1, 2, 3, 4)}
        around += len(near & set(ids[:4]))
    # By chance 4 of 60 films would be among 8: about a half of one; nearly all four are.
    assert around / FILMS > 3.0


def test_learning_sees_nothing_after_the_training_period(tiny: Any, content: Path, tmp_path: Path) -> None:
    folder = tmp_path / "splits"
    shutil.copytree(tiny.folders["splits"], folder)
    shutil.copy2(folder / "valid.parquet", folder / "test.parquet")
    split = Split.open(folder)
    write_sources(
        parse_section(RecommendConfig, {"sources": SOURCES}), split, split.user_log(), ["watch"], tmp_path
    )
    for name in ("co_occurrence", "item2vec"):
        path = Path("sources") / f"{name}.parquet"
        assert (tmp_path / path).read_bytes() == (content / path).read_bytes()


def test_every_candidate_is_accounted_for(everything: Recommender) -> None:
    for history in ([], [film(3)], [film(n) for n in range(40, 52)]):
        answer = everything.recommend(history=history, exclude=[film(7), film(8)], at=AT, explain=True)
        told = answer.explanation
        assert told is not None
        ways = [*told.removed.values(), told.surplus, list(told.scored)]
        counted = Counter(item for way in ways for item in way)
        assert set(counted) == set(told.retrieved) == set(told.sources)
        assert set(counted.values()) == {1}
        assert all(told.sources.values())
        assert set(told.adjusted) == set(told.scored)
        for item in answer.items:
            assert item.score == pytest.approx(told.scored[item.item_id]["score"])
            assert item.source == told.sources[item.item_id][0]
            assert told.adjusted[item.item_id] >= item.score - 1e-6


numbers = st.lists(st.integers(0, FILMS + 3), max_size=30)


@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    asked=st.lists(
        st.tuples(st.sampled_from(["p1", "p7", "nobody", None]), st.none() | numbers), min_size=1, max_size=6
    ),
    k=st.integers(1, 40),
)
def test_a_batch_is_answered_as_each_request_alone_and_in_columns_as_in_items(
    everything: Recommender, asked: list[tuple[str | None, list[int] | None]], k: int
) -> None:
    funnel = everything.funnel
    requests = [
        Request(user_id=user, history=None if history is None else list(map(film, history)), k=k, at=AT)
        for user, history in asked
    ]
    asks = funnel.prepare(requests)
    scored = funnel.score(asks, funnel.filter(asks, funnel.retrieve(asks)))
    slates, columns = funnel.order(asks, requests, scored), funnel.picked(asks, requests, scored)
    for request, slate, picked in zip(requests, slates, columns, strict=True):
        assert picked.items() == slate.items
        (alone,) = everything.recommend_batch([request])
        assert alone.item_ids == slate.item_ids
        assert [(item.source, item.propensity) for item in alone.items] == [
            (item.source, item.propensity) for item in slate.items
        ]
        assert [item.score for item in alone.items] == pytest.approx(
            [item.score for item in slate.items], abs=1e-5
        )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=numbers, excluded=numbers, blocked=numbers, k=st.integers(1, 80), seed=st.integers(0, 2**63))
def test_a_slate_never_holds_what_may_not_be_shown(
    everything: Recommender, history: list[int], excluded: list[int], blocked: list[int], k: int, seed: int
) -> None:
    def named(numbers: list[int]) -> list[str]:
        return [film(n) if n < FILMS else f"unknown {n}" for n in numbers]

    full = everything.funnel.interactions(named(history), AT)
    request = Request(
        history=full, exclude=named(excluded), blocked=named(blocked), k=k, at=AT, seed=seed, context={}
    )
    (answer,) = everything.recommend_batch([request])
    ids = answer.item_ids
    assert len(set(ids)) == len(ids) <= k
    assert not set(ids) & {*named(history), *named(excluded), *named(blocked)}
    assert all(item in everything.catalogue.ids for item in ids)
    assert all(np.isfinite(item.score) and 0 < item.propensity <= 1 for item in answer.items)
    assert [item.position for item in answer.items] == list(range(1, len(ids) + 1))
    if answer.rung == "personalised":
        genres = Counter(n % 4 for n in range(FILMS) if film(n) in ids)
        assert max(genres.values(), default=0) <= 3


def test_one_position_explores_and_the_same_request_is_answered_alike(everything: Recommender) -> None:
    def ask(seed: int | None, at: datetime = AT) -> Any:
        full = everything.funnel.interactions([film(3), film(4)], AT)
        return everything.recommend_batch([Request(user_id="x", history=full, at=at, seed=seed)])[0]

    assert ask(None).items == ask(None).items
    assert ask(7).items == ask(7).items
    slates = [ask(seed) for seed in range(60)]
    assert len({tuple(slate.item_ids[:-1]) for slate in slates}) == 1
    assert len({slate.item_ids[-1] for slate in slates}) > 3
    assert {item.propensity for slate in slates for item in slate.items[:-1]} == {1.0}
    assert all(slate.items[-1].propensity < 1 for slate in slates)
    assert len({ask(None, AT + timedelta(seconds=n)).item_ids[-1] for n in range(40)}) > 3


def test_attribute_filters_read_items_and_requests(opened: Open) -> None:
    # Genres stand for countries: a viewer from "crime" may see crime only; the minutes for a least age.
    crime = opened(filters={"country": {"item": "genre", "request": "surface"}})
    answer = crime.recommend(history=[film(2)], context={"surface": "Crime"}, at=AT, explain=True)
    assert {int(item[5:7]) % 4 for item in answer.item_ids} == {2}
    assert answer.explanation is not None
    assert answer.explanation.removed["country"]
    assert len(answer.items) == 5
    anyone = opened(filters={"age": {"item": "minutes", "request": "surface"}})
    young = anyone.recommend(history=[film(2)], context={"surface": "100"}, k=60, at=AT)
    assert {item for item in young.item_ids if int(item[5:7]) % 7} <= {film(n) for n in range(21)}
    with pytest.raises(ConfigError, match=r"recommend\.filters\.age\.item.*'years'.*minutes"):
        opened(filters={"age": {"item": "years"}})


def test_caps_look_as_far_as_they_must(opened: Open) -> None:
    free = opened(candidates=FILMS).recommend(history=[film(2)], k=60, at=AT).item_ids
    capped = opened(candidates=FILMS, caps={"genre": 1}, diversity=0.0)
    genres = [int(item[5:7]) % 4 for item in free]
    first = [free[genres.index(genre)] for genre in dict.fromkeys(genres)]
    assert capped.recommend(history=[film(2)], k=10, at=AT).item_ids == first
    assert len(first) == 4


def test_counts_of_zero_everywhere_are_refused() -> None:
    with pytest.raises(ConfigError, match="every count is 0"):
        parse_section(RecommendConfig, {"sources": {"two_tower": {"count": 0}}})


def test_live_state_takes_items_out_of_the_next_slate_and_of_the_popular_one(
    tiny: Any, content: Path
) -> None:
    shop = Said(known={"p1": LiveUser(blocked=frozenset([film(20)]))})
    recommender = Recommender(content, tiny.config, "live", shop)
    history = [film(3), film(4)]
    before = recommender.recommend(history=history, at=AT).item_ids
    shop.down = frozenset(before[:3])
    after = recommender.recommend(history=history, at=AT, explain=True)
    assert not set(before[:3]) & set(after.item_ids)
    assert len(after.items) == len(before)
    assert after.explanation is not None
    assert set(before[:3]) <= set(after.explanation.removed["unavailable"])
    shop.down = frozenset()
    assert recommender.recommend(history=history, at=AT).item_ids == before
    asked = [Request(user_id=user, history=(), k=60, at=AT) for user in ("p1", "p2")]
    blocked, free = recommender.recommend_batch(asked)
    assert film(20) in free.item_ids
    assert film(20) not in blocked.item_ids
    shop.down = frozenset(film(n) for n in range(FILMS) if n != 11)
    assert recommender.recommend(history=[film(11)], at=AT).items == ()


def test_items_are_scored_as_the_slate_scores_them(opened: Open) -> None:
    recommender = opened()
    user = recommender.users.sample(1)[0]
    answer = recommender.recommend(user, k=5, at=AT, explain=True)
    assert answer.explanation is not None
    # A score knows the list that it is in: where retrieval would have put the item among the others.
    told = answer.explanation.scored
    asked = list(told)
    asked.insert(2, "unknown")
    one, nothing = recommender.funnel.score_items(
        [ScoreRequest(asked, user_id=user, at=AT), ScoreRequest([], history=[film(1)], at=AT)]
    )
    assert (one.scores[2], one.events["watch"][2]) == (None, None)
    for place, item in enumerate(asked):
        if item in told:
            assert one.scores[place] == pytest.approx(told[item]["score"], abs=1e-5)
            assert one.events["hide"][place] == pytest.approx(told[item]["hide"], abs=1e-5)
    assert set(one.events) == {"watch", "hide"}
    assert (nothing.scores, nothing.release_id) == ([], "parts")
    assert recommender.funnel.score_items([]) == []


def test_a_ranker_that_answers_nan_leaves_the_popular_items(opened: Open) -> None:
    recommender = opened()
    ranker = recommender.ranker

    class Broken:
        def score(self, *arguments: Any) -> Any:
            answer = ranker.score(*arguments)
            answer.score[:] = np.nan
            return answer

    recommender.opened.ranker = Broken()  # type: ignore[assignment]
    answer = recommender.recommend(history=[film(3)], at=AT)
    assert answer.rung == "popular"
    assert len(answer.items) == 5
    assert film(3) not in answer.item_ids
    (scores,) = recommender.funnel.score_items([ScoreRequest([film(1)], history=[], at=AT)])
    assert scores.scores == [None]


def test_a_source_without_its_table_is_refused_when_opened(tiny: Any, content: Path, tmp_path: Path) -> None:
    folder = tmp_path / "content"
    shutil.copytree(content, folder)
    (folder / "sources" / "item2vec.parquet").unlink()
    sections = tiny.sections(recommend={"sources": SOURCES})
    with pytest.raises(ReleaseError, match=r"sources/item2vec\.parquet"):
        Recommender(folder, sections, "x")
