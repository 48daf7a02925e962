"""Items that came since a release: found by their content, scored, filtered, and known by the next one."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slate.feedback.state import Happened, ItemChange, LiveUser
from slate.recommend.newcomers.newcomers import Newcomers
from slate.recommend.recommender import Recommender
from slate.recommend.request import Interaction, Request, Slate
from tests.conftest import TinyRun
from tests.recommend.live.said import Said

AT = datetime(2024, 3, 1, tzinfo=UTC)
SENT = AT.timestamp() - 60


class Told(Said):
    """Live state with room for new items."""

    new_items = 3

    def tell(self, taker: Any, /) -> None:
        self.taker: Newcomers = taker

    def send(self, *items: tuple[str, dict[str, object]], available: bool = True, at: float = SENT) -> None:
        first = self.taker.version
        self.taker.take(
            [
                ItemChange(first + place, item, available, features, at)
                for place, (item, features) in enumerate(items, start=1)
            ]
        )


def film(number: int) -> str:
    return f"film {number:02d}, é"


def of(tiny: TinyRun, **recommend: Any) -> tuple[Recommender, Told]:
    live = Told()
    sections = {**tiny.config, "recommend": {**tiny.config["recommend"], **recommend}}
    return Recommender(Path(tiny.store) / "releases" / tiny.release_id, sections, "r-1", live), live


@pytest.fixture(scope="module")
def opened(tiny: TinyRun) -> tuple[Recommender, Told]:
    """A release that two new items came to."""
    recommender, live = of(tiny)
    live.send(("war film", {"genre": "war", "minutes": 90}), ("odd film", {"genre": "never seen"}))
    return recommender, live


def ask(recommender: Recommender, k: int = 60, **asked: Any) -> Slate:
    (slate,) = recommender.recommend_batch([Request(k=k, at=AT, explain=True, **asked)])
    return slate


def test_a_new_item_is_placed_where_an_unknown_one_of_its_content_is(
    opened: tuple[Recommender, Told],
) -> None:
    """The exported towers say of a trained item's content what the trained ones do, but for its id."""
    recommender, live = opened
    release = recommender.opened
    group = release.newcomers.group
    assert (group.ids, group.first) == (("war film", "odd film"), 60)
    rows = np.array([60, 61], np.int32)
    np.testing.assert_array_equal(release.encoder.vectors[rows], group.embeddings)
    twin = release.encoder.embed_items(
        {"genre": np.array([0], np.int32), "minutes": np.array([[0, 1]], np.float32)}, 1
    )
    other = release.encoder.embed_items(
        {"genre": np.array([5], np.int32), "minutes": np.array([[0, 1]], np.float32)}, 1
    )
    assert not np.allclose(twin, other)
    assert live.taker.version == 2


def test_it_is_found_scored_and_explained(opened: tuple[Recommender, Told]) -> None:
    recommender, _ = opened
    slate = ask(recommender, history=[film(3), film(7), film(11)])
    assert slate.explanation is not None
    assert {"two_tower"} == {*slate.explanation.sources["war film"]}
    item = next(item for item in slate.items if item.item_id == "war film")
    assert np.isfinite(item.score)
    assert slate.explanation.scored["war film"]["score"] == item.score
    (scores,) = recommender.funnel.score_items([_score(["war film", film(1), "no film"], [film(3)])])
    assert [score is None for score in scores.scores] == [False, False, True]


def test_the_scores_of_the_others_are_not_touched(tiny: TinyRun, opened: tuple[Recommender, Told]) -> None:
    recommender, _ = opened
    plain = Recommender(recommender.directory, tiny.config, "r-1")
    asked = {"history": [film(3), film(7)], "live": False}
    assert ask(recommender, **asked).items == ask(plain, **asked).items


def test_golden_requests_never_meet_it(opened: tuple[Recommender, Told]) -> None:
    recommender, _ = opened
    assert "war film" not in ask(recommender, history=[film(3)], live=False).item_ids


def test_it_enters_histories_and_is_not_shown_again(opened: tuple[Recommender, Told]) -> None:
    recommender, live = opened
    live.known["p1"] = LiveUser([Happened("e", "war film", "watch", SENT)])
    try:
        (ask_of,) = recommender.funnel.prepare([Request("p1", at=AT)])
        assert ask_of.query.history.items[-1] == 60
        assert "war film" not in ask(recommender, user_id="p1").item_ids
        assert "war film" in ask(recommender, user_id="p2").item_ids
    finally:
        live.known.clear()
    liked = ask(recommender, history=[Interaction("war film", "watch", AT)])
    assert "war film" not in liked.item_ids
    assert liked.explanation is not None
    assert liked.explanation.ignored == ()


@pytest.mark.parametrize(
    "asked", [{"exclude": ["war film"]}, {"blocked": ["war film"]}], ids=lambda asked: next(iter(asked))
)
def test_what_a_request_denies_is_not_shown(opened: tuple[Recommender, Told], asked: dict[str, Any]) -> None:
    recommender, _ = opened
    assert "war film" not in ask(recommender, history=[film(3)], **asked).item_ids


def test_it_can_be_taken_down_and_sent_again(tiny: TinyRun) -> None:
    recommender, live = of(tiny)
    live.send(("new", {"genre": "war"}))
    live.down = frozenset(["new"])
    live.send(("new", {}), available=False)
    assert "new" not in ask(recommender, history=[film(3)]).item_ids
    before = recommender.opened.newcomers.group
    live.down = frozenset()
    live.send(("new", {"genre": "comedy"}))
    assert "new" in ask(recommender, history=[film(3)]).item_ids
    after = recommender.opened.newcomers.group
    assert after.rows == before.rows == {"new": 60}
    assert not np.allclose(before.embeddings, after.embeddings)


def test_there_is_room_for_so_many_and_the_rest_is_counted(tiny: TinyRun) -> None:
    recommender, live = of(tiny)
    live.send((film(0), {}), ("a", {}), ("b", {}), ("a", {"genre": "war"}))
    assert (live.taker.shown, live.taker.refused) == (2, 0), "what the release knows is nothing new"
    live.send(("c", {}), ("d", {}), ("e", {}))
    live.send(("d", {}))
    assert (live.taker.shown, live.taker.refused) == (3, 2)
    assert "d" not in ask(recommender, history=[film(3)]).item_ids


def test_a_release_opened_without_room_counts_them(tiny: TinyRun) -> None:
    plain = Recommender(Path(tiny.store) / "releases" / tiny.release_id, tiny.config, "r-1").opened
    taker = Newcomers(plain.catalogue.ids, plain.features, plain.encoder, plain.ranker, lambda _: None)
    taker.take([ItemChange(1, "new", True, {}, SENT)])
    assert (taker.version, taker.shown, taker.refused) == (1, 0, 1)


def test_the_fresh_source_names_it_first(tiny: TinyRun) -> None:
    recommender, live = of(tiny, sources={"two_tower": {"count": 0}, "fresh": {"count": 3}})
    live.send(("new", {}), ("later", {}))
    slate = ask(recommender, history=[film(3)])
    assert slate.explanation is not None
    assert list(slate.explanation.sources)[:2] == ["later", "new"]
    assert set(slate.explanation.sources["new"]) == {"fresh"}
    assert len(slate.items) == 3
    assert slate.item_ids[0] in slate.explanation.scored


def test_a_date_that_was_sent_decides_what_is_fresh(tiny: TinyRun) -> None:
    sources = {"two_tower": {"count": 0}, "fresh": {"count": 30, "column": "minutes"}}
    recommender, live = of(tiny, sources=sources)
    live.send(("old", {"minutes": 70}), ("new", {"minutes": 5_000}))
    (asked,) = recommender.funnel.prepare([Request(history=(), at=AT)])
    (found,) = recommender.funnel.retrieve([asked], 60)
    names = recommender.opened.ids.to_ids(found.rows)
    assert (names[0], names[-1]) == ("new", "old")


@pytest.mark.parametrize(
    ("filters", "features", "context", "shown"),
    [
        ({"age": {"item": "minutes", "request": "age", "assumed": 0}}, {"minutes": 18}, {"age": 17}, False),
        ({"age": {"item": "minutes", "request": "age", "assumed": 0}}, {"minutes": 18}, {"age": 18}, True),
        ({"country": {"item": "genre", "request": "land"}}, {"genre": "de"}, {"land": "fr"}, False),
        ({"country": {"item": "genre", "request": "land"}}, {"genre": "de"}, {"land": "DE"}, True),
        ({"available": {"item": "genre"}}, {"genre": "no"}, {}, False),
        ({"available": {"item": "genre"}}, {"genre": "yes"}, {}, True),
    ],
)
def test_filters_read_what_was_sent(
    tiny: TinyRun, filters: dict[str, Any], features: dict[str, object], context: dict[str, Any], shown: bool
) -> None:
    sources = {"two_tower": {"count": 0}, "fresh": {"count": 9}}
    recommender, live = of(tiny, sources=sources, filters=filters)
    live.send(("new", features))
    (asked,) = recommender.funnel.prepare([Request(history=(), at=AT, context=context)])
    found = recommender.funnel.retrieve([asked])
    (kept,) = recommender.funnel.filter([asked], found)
    assert (60 in kept.rows) is shown
    assert 60 in found[0].rows


def test_diversity_caps_and_freshness_know_it(tiny: TinyRun) -> None:
    recommender, live = of(
        tiny,
        diversity=0.3,
        caps={"genre": 1},
        freshness={"boost": 50.0, "half_life_days": 1.0},
    )
    live.send(("new", {"genre": "opera"}), ("newer", {"genre": "opera"}))
    slate = ask(recommender, history=[film(3), film(4)])
    assert len({"new", "newer"} & set(slate.item_ids)) == 1, "one of each genre"
    assert slate.item_ids[0] in ("new", "newer"), "the boost is for what is new"


def _score(items: list[str], history: list[str]) -> Any:
    from slate.recommend.engine import ScoreRequest

    return ScoreRequest(items, history=history, at=AT)
