"""What users did since the release enters their next slate, and is looked up once a batch."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from slate.feedback.state import Happened, LiveUser
from slate.recommend.recommender import Recommender
from slate.recommend.request import Interaction, Request
from tests.conftest import TinyRun
from tests.recommend.live.said import Said

AT = datetime(2024, 3, 1, tzinfo=UTC)
LAST = AT.timestamp() - 600


def film(number: int) -> str:
    return f"film {number:02d}, é"


def did(*numbers: int, event: str = "watch") -> LiveUser:
    return LiveUser([Happened(f"e-{n}", film(n), event, LAST + place) for place, n in enumerate(numbers)])


@pytest.fixture(scope="module")
def recommender(tiny: TinyRun) -> tuple[Recommender, Said]:
    live = Said()
    return Recommender(Path(tiny.store) / "releases" / tiny.release_id, tiny.config, "r-1", live), live


@pytest.fixture(autouse=True)
def said(recommender: tuple[Recommender, Said]) -> Said:
    _, live = recommender
    live.known.clear()
    live.asked.clear()
    live.unknown = 0
    return live


def test_a_strangers_events_count_like_a_history_in_the_request(
    recommender: tuple[Recommender, Said], said: Said
) -> None:
    said.known["new"] = did(3, 4, 5)
    given = [
        Interaction(film(n), "watch", datetime.fromtimestamp(LAST + place, UTC))
        for place, n in enumerate([3, 4, 5])
    ]
    live, named = recommender[0].recommend_batch(
        [Request("new", at=AT, k=9), Request("other", history=given, at=AT, k=9)]
    )
    assert live.item_ids == named.item_ids
    assert [item.score for item in live.items] == pytest.approx(
        [item.score for item in named.items], abs=1e-6
    )
    assert live.items != recommender[0].recommend_batch([Request("stranger", at=AT, k=9)])[0].items


def test_a_known_user_goes_on_from_the_released_history(
    recommender: tuple[Recommender, Said], said: Said
) -> None:
    (before,) = recommender[0].funnel.prepare([Request("p1", at=AT)])
    liked = next(n for n in range(60) if n not in before.seen)
    said.known["p1"] = did(liked)
    (after,) = recommender[0].funnel.prepare([Request("p1", at=AT)])
    assert after.query.history.items.tolist() == [*before.query.history.items.tolist(), liked]
    assert set(after.seen) == {*before.seen, liked}
    assert after.query.user == before.query.user


@pytest.mark.parametrize(
    "request_", [Request("p1", live=False, at=AT), Request("p1", history=[film(9)], at=AT)]
)
def test_a_request_may_leave_it_out(
    recommender: tuple[Recommender, Said], said: Said, request_: Request
) -> None:
    (before,) = recommender[0].funnel.prepare([request_])
    said.known["p1"] = did(*range(60))
    (after,) = recommender[0].funnel.prepare([request_])
    assert after.query.history.items.tolist() == before.query.history.items.tolist()


def test_blocked_items_hold_whatever_history_is_sent(
    recommender: tuple[Recommender, Said], said: Said
) -> None:
    said.known["p1"] = LiveUser((), frozenset([film(7), "no film"]))
    asked = [Request("p1", at=AT), Request("p1", history=[], at=AT), Request("p1", live=False, at=AT)]
    assert [ask.blocked.tolist() for ask in recommender[0].funnel.prepare(asked)] == [[7], [7], []]


def test_what_the_release_does_not_know_is_counted(recommender: tuple[Recommender, Said], said: Said) -> None:
    said.known["new"] = LiveUser(
        [Happened("a", "no film", "watch", LAST), Happened("b", film(1), "no event", LAST)]
    )
    (ask,) = recommender[0].funnel.prepare([Request("new", at=AT)])
    assert ask.ignored == ("no event", "no film")
    assert said.unknown == 2


def test_a_batch_is_one_question_of_those_whom_it_concerns(
    recommender: tuple[Recommender, Said], said: Said
) -> None:
    asked = [Request("a", at=AT), Request("b", at=AT), Request("a", at=AT), Request(None, history=(), at=AT)]
    recommender[0].funnel.prepare([*asked, Request("c", live=False, at=AT)])
    assert said.asked == [{"a", "b"}]
