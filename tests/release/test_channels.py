"""Channels move forward, go back only within their history, and never to an unfit release."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.clock import ManualClock
from slate.errors import ConflictError, NotFoundError, ReleaseError
from slate.release.channels import (
    Channel,
    Move,
    may_follow,
    move_channel,
    read_channel,
    rollback,
    take_if_empty,
)
from slate.release.publish import publish
from slate.storage import ObjectStore, open_store

AT = ManualClock(datetime(2026, 11, 21, tzinfo=UTC))
REFUSED = {"status": "refused", "checks": [{"name": "quality", "passed": False, "detail": "Worse."}]}
Publish = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path / "store")


@pytest.fixture
def published(store: ObjectStore, make_release: Any) -> Publish:
    return lambda **changes: publish(store, make_release(**changes)[0])


def test_the_object_is_the_contracts_shape(store: ObjectStore, published: Publish) -> None:
    a, b = published(), published()
    move_channel(store, "stable", a, "first", "ann", clock=AT)
    move_channel(store, "stable", b, "better", "bob", expected_sequence=1, clock=AT)
    raw = json.loads(store.read("channels/stable.json"))
    last = {
        "release_id": b,
        "sequence": 2,
        "reason": "better",
        "by": "bob",
        "at": "2026-11-21T00:00:00.000000Z",
    }
    first = last | {"release_id": a, "sequence": 1, "reason": "first", "by": "ann"}
    assert raw == last | {"history": [first | {"rollback": False}, last | {"rollback": False}]}
    assert read_channel(store, "candidate") is None


def test_going_back_is_recorded_and_only_within_history(store: ObjectStore, published: Publish) -> None:
    a, b, c = published(), published(), published()
    move_channel(store, "stable", a, "", "x")
    move_channel(store, "stable", c, "", "x")
    with pytest.raises(ReleaseError, match=f"{b} is older than {c} and never stood there"):
        move_channel(store, "stable", b, "", "x")
    back = move_channel(store, "stable", a, "c is slow", "x")
    assert [m.rollback for m in back.history] == [False, False, True]
    assert move_channel(store, "stable", b, "", "x").history[-1].rollback is False


def test_rollback_takes_the_release_before(store: ObjectStore, published: Publish) -> None:
    a, b, c = published(), published(), published()
    with pytest.raises(ReleaseError, match="is empty"):
        rollback(store, "stable")
    for release_id in (a, b, c):
        move_channel(store, "stable", release_id, "", "x")
    assert rollback(store, "stable").release_id == b
    assert rollback(store, "stable").release_id == a
    with pytest.raises(ReleaseError, match="nothing older"):
        rollback(store, "stable")
    move_channel(store, "stable", c, "", "x")
    with pytest.raises(ReleaseError, match="cannot roll back to"):
        rollback(store, "stable", to=c)
    assert rollback(store, "stable", to=a, reason="bad", by="eve").history[-1] == Move(
        release_id=a, sequence=7, reason="bad", by="eve", at=read_channel(store, "stable").at, rollback=True
    )


def test_moving_to_where_it_is_changes_nothing(store: ObjectStore, published: Publish) -> None:
    a = published()
    first = move_channel(store, "shadow", a, "", "x")
    assert move_channel(store, "shadow", a, "again", "y") == first == read_channel(store, "shadow")


def test_unfit_releases_are_refused(store: ObjectStore, published: Publish) -> None:
    a = published()
    refused = published(verdict=REFUSED)
    with pytest.raises(ReleaseError, match="verdict 'refused'"):
        move_channel(store, "stable", refused, "", "x")
    absent = a[:-12] + "0" * 12
    with pytest.raises(NotFoundError, match="no sealed release"):
        move_channel(store, "stable", absent, "", "x")
    store.write_new(f"releases/{absent}/fallback.json", b"{}")
    with pytest.raises(NotFoundError, match="no sealed release"):
        move_channel(store, "stable", absent, "", "x")
    with pytest.raises(ReleaseError, match=r"'\.\./x': is no release id"):
        move_channel(store, "stable", "../x", "", "x")
    with pytest.raises(ReleaseError, match="channel 'prod': unknown"):
        move_channel(store, "prod", a, "", "x")
    assert store.list("channels/") == []


def test_a_stale_view_loses(store: ObjectStore, published: Publish) -> None:
    a, b = published(), published()
    move_channel(store, "stable", a, "", "x", expected_sequence=0)
    for seen in (0, 2):
        with pytest.raises(ConflictError, match=f"expected sequence {seen}, but it is at 1"):
            move_channel(store, "stable", b, "", "x", expected_sequence=seen)


def test_an_empty_channel_takes_the_first_that_passed(store: ObjectStore, published: Publish) -> None:
    refused, a, b = published(verdict=REFUSED), published(), published()
    assert take_if_empty(store, "stable", refused) is None
    taken = take_if_empty(store, "stable", a, by="pipeline")
    assert taken is not None
    assert (taken.release_id, taken.by, taken.reason) == (a, "pipeline", "first release that passed")
    assert take_if_empty(store, "stable", b) is None
    assert read_channel(store, "stable") == taken


def channel(*steps: tuple[str, bool]) -> Channel:
    moves = tuple(
        Move(release_id=r, sequence=n, reason="", by="x", at="2026-11-21T00:00:00Z", rollback=back)
        for n, (r, back) in enumerate(steps, start=1)
    )
    return Channel.after(moves)


A, B, C = ("a", False), ("b", False), ("c", False)


@pytest.mark.parametrize(
    ("seen", "new", "allowed"),
    [
        (None, channel(A), True),
        (channel(A), channel(A), True),
        (channel(A), channel(A, B, C), True),
        (channel(A, B), channel(A, B, ("a", True)), True),
        (channel(A, B), channel(A), False),  # replayed
        (channel(A, B, ("a", True)), channel(A, B), False),  # replayed, though the release is newer
        (channel(A, B), channel(A, ("a", False)), False),  # another history
        (channel(A, B), channel(A, C, C), False),
        (channel(A, B), channel(A, B, A), False),  # back, not recorded
        (channel(A, C), channel(A, C, ("b", True)), False),  # back to where it never was
        (None, channel(("a", True)), False),
    ],
)
def test_a_server_follows_only_what_continues(seen: Channel | None, new: Channel, allowed: bool) -> None:
    follow = may_follow(seen, new)
    assert follow.allowed is allowed
    assert follow.why


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8), st.data())
def test_every_lawful_history_is_followed_forward_and_never_backward(steps: list[str], data: Any) -> None:
    moves: list[tuple[str, bool]] = []
    for release in steps:
        if moves and release == moves[-1][0]:
            continue
        back = bool(moves) and release < moves[-1][0]
        if not back or release in [m[0] for m in moves]:
            moves.append((release, back))
    cut = data.draw(st.integers(1, len(moves)))
    old, new = channel(*moves[:cut]), channel(*moves)
    assert may_follow(old, new).allowed
    assert may_follow(new, old).allowed is (cut == len(moves))


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda r: r.update(release_id="x"), "its last move is not where it points"),
        (lambda r: r.update(sequence=3), "does not count"),
        (lambda r: r["history"].pop(0), "does not count"),
        (lambda r: r["history"][1].update(rollback=True), "recorded as the other"),
        (lambda r: r.update(history=[]), "does not count"),
        (lambda r: r.pop("by"), "by: Field required"),
    ],
)
def test_an_edited_channel_is_refused(
    store: ObjectStore, published: Publish, edit: Callable[[dict[str, Any]], Any], problem: str
) -> None:
    for release_id in (published(), published()):
        move_channel(store, "stable", release_id, "", "x")
    raw = json.loads(store.read("channels/stable.json"))
    edit(raw)
    store.delete("channels/stable.json")
    store.write_new("channels/stable.json", json.dumps(raw).encode())
    with pytest.raises(ReleaseError, match=f"channels/stable.json: .*{problem}"):
        read_channel(store, "stable")
    store.delete("channels/stable.json")
    store.write_new("channels/stable.json", b"{")
    with pytest.raises(ReleaseError, match="not valid JSON"):
        read_channel(store, "stable")
