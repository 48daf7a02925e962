"""A real, small release, opened and asked."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slate
from slate.errors import NotFoundError, ReleaseError
from slate.recommend.golden import golden_problems, golden_requests
from slate.recommend.recommender import Recommender
from slate.recommend.request import Interaction, Request
from slate.release.resolve import open_verified
from slate.storage import open_store

AT = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def recommender(tiny: Any) -> Recommender:
    return slate.open_release(tiny.store)


def film(number: int) -> str:
    return f"film {number:02d}, é"


def test_a_known_user_gets_k_unseen_items_from_the_release(recommender: Recommender, tiny: Any) -> None:
    user = recommender.users.sample(1)[0]
    state = recommender.users.record(user)
    assert state is not None
    answer = recommender.recommend(user, at=AT)
    assert (answer.user_id, answer.rung, answer.release_id) == (user, "personalised", tiny.release_id)
    assert len(answer.items) == 5
    assert not set(answer.item_ids) & set(recommender.catalogue.ids.to_ids(state.seen))
    assert [item.position for item in answer.items] == [1, 2, 3, 4, 5]
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)


def test_a_history_changes_the_answer_and_the_next_item_follows(recommender: Recommender) -> None:
    early = recommender.recommend(history=[film(3), film(4), film(5)], at=AT).item_ids
    late = recommender.recommend(history=[film(40), film(41), film(42)], at=AT).item_ids
    assert film(6) in early
    assert film(43) in late
    assert early != late


def test_a_given_history_overrides_the_released_one(recommender: Recommender) -> None:
    user = recommender.users.sample(1)[0]
    history = [film(40), film(41), film(42)]
    assert film(43) in recommender.recommend(user, history=history, at=AT).item_ids


def test_full_interactions_carry_event_and_time(recommender: Recommender) -> None:
    plain = [Interaction(film(i), "watch", AT - timedelta(hours=9 - i)) for i in range(5)]
    hidden = [*plain[:-1], Interaction(film(4), "hide", plain[-1].at)]
    asks = [recommender.ask(Request(history=h, at=AT)) for h in (plain, hidden)]
    vectors = recommender.encoder.embed([ask.query for ask in asks])
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-4


def test_an_unknown_user_and_an_empty_history_are_answered_from_context(recommender: Recommender) -> None:
    stranger = recommender.recommend("nobody knows me", at=AT)
    anonymous = recommender.recommend(history=[], at=AT)
    assert stranger.rung == anonymous.rung == "personalised"
    assert len(stranger.items) == len(anonymous.items) == 5
    phone, tv = (
        recommender.encoder.embed([recommender.ask(Request(at=AT, context={"surface": s})).query])
        for s in ("phone", "tv")
    )
    assert np.abs(phone - tv).max() > 1e-6


def test_unknown_items_are_ignored_and_said(recommender: Recommender) -> None:
    history = [film(3), "gone", film(4)]
    answer = recommender.recommend(history=history, exclude=["also gone"], at=AT, explain=True)
    assert answer.explanation is not None
    assert list(answer.explanation.ignored) == ["gone", "also gone"]
    assert len(answer.items) == 5


def test_excluded_items_never_show_and_the_explanation_counts_them(recommender: Recommender) -> None:
    first = recommender.recommend(history=[film(3), film(4)], at=AT).item_ids
    answer = recommender.recommend(history=[film(3), film(4)], exclude=first[:2], at=AT, explain=True)
    assert not set(first[:2]) & set(answer.item_ids)
    assert answer.explanation is not None
    assert set(answer.explanation.removed["excluded"]) == set(first[:2])
    assert set(answer.explanation.removed["seen"]) <= {film(3), film(4)}
    assert set(answer.item_ids) <= set(answer.explanation.retrieved)
    assert set(answer.explanation.scored[answer.item_ids[0]]) == {"score", "watch", "hide"}


def test_k_may_exceed_the_catalogue(recommender: Recommender) -> None:
    answer = recommender.recommend(history=[film(1)], k=10_000, at=AT)
    assert len(answer.items) == recommender.config.candidates
    assert len(set(answer.item_ids)) == len(answer.items)


def test_somebody_who_has_seen_everything_gets_an_empty_slate_with_its_rung(recommender: Recommender) -> None:
    answer = recommender.recommend(history=[film(i) for i in range(60)], at=AT)
    assert (answer.items, answer.rung) == ((), "popular")


def test_a_batch_answers_as_one_by_one(recommender: Recommender) -> None:
    requests = [Request(user_id=u, at=AT) for u in recommender.users.sample(7)] + [Request(at=AT)]
    together = recommender.recommend_batch(requests)
    for request, answer in zip(requests, together, strict=True):
        alone = recommender.recommend_batch([request])[0]
        assert alone.item_ids == answer.item_ids
        assert [i.score for i in alone.items] == pytest.approx([i.score for i in answer.items], abs=1e-5)
    assert recommender.recommend_batch([]) == []


def test_golden_answers_hold_and_a_difference_is_named(recommender: Recommender) -> None:
    golden = golden_requests(recommender, "2024-06-01T00:00:00.000000Z")
    assert len(golden) == recommender.config.golden + 1
    assert golden_problems(recommender, golden) == []
    golden[0]["response"]["items"][0]["score"] += 0.5
    (problem,) = golden_problems(recommender, golden)
    assert "position 1" in problem


def test_a_tampered_release_is_refused_before_anything_loads(tiny: Any, tmp_path: Path) -> None:
    source = open_verified("stable", open_store(tiny.store)).path
    copy = tmp_path / source.name
    shutil.copytree(source, copy)
    assert slate.open_release(str(copy)).recommend(history=[film(1)], at=AT).items
    items = copy / "items.parquet"
    items.write_bytes(items.read_bytes()[:-1] + b"x")
    with pytest.raises(ReleaseError, match=r"items\.parquet"):
        slate.open_release(str(copy))


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    with pytest.raises(NotFoundError, match="slate run"):
        slate.open_release(str(tmp_path))


def test_an_answer_is_plain_json(recommender: Recommender) -> None:
    answer = json.loads(json.dumps(recommender.recommend(history=[film(1)], at=AT).to_dict()))
    assert set(answer) == {"user_id", "items", "rung", "release_id"}
    assert set(answer["items"][0]) == {"item_id", "score", "position", "source", "propensity"}
