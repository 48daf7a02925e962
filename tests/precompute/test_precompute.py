"""Batch runs over a real release and a real state."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.clock import ManualClock
from slate.config import FeedbackConfig
from slate.errors import ConfigError, ConflictError, StorageError
from slate.feedback.log import SCHEMA
from slate.feedback.open import VARIABLE, open_state
from slate.feedback.sqlite_state import SqliteState
from slate.feedback.state import Happened
from slate.recommend.open import open_release
from slate.recommend.opened import USERS
from slate.recommend.precompute import progress, worker
from slate.recommend.precompute.form import unpacked
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request
from slate.recommend.users import users_table
from slate.release.channels import read_channel
from slate.steps.finish_precompute import finish_precompute
from slate.steps.precompute import precompute
from slate.storage import open_store
from tests.conftest import TinyRun

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
EVER = {"active_days": 100_000.0, "items": 12, "size": 64}


@pytest.fixture(scope="module")
def recommender(tiny: TinyRun) -> Recommender:
    return open_release("stable", store=tiny.store)


class Place:
    """A store with the tiny release, and an empty state."""

    def __init__(self, tiny: TinyRun, folder: Path) -> None:
        self.folder = folder
        self.store = str(folder / "store")
        shutil.copytree(tiny.store, self.store, copy_function=os.link)
        self.feedback = {"state": str(folder / "state.db")}
        self.release_id = tiny.release_id

    def run(self, partition: str = "0/1", at: datetime = NOW, **changes: Any) -> dict[str, Any]:
        (done,) = precompute({**EVER, **changes}, self.feedback, self.store, partition, clock=ManualClock(at))
        return done

    def slates(self, users: Sequence[str], release_id: str | None = None) -> dict[str, list[str]]:
        """Item ids by user, of those who have a slate."""
        state = open_state(FeedbackConfig(**self.feedback))
        try:
            found = {user: state.slate(release_id or self.release_id, user) for user in users}
        finally:
            state.close()
        return {
            user: [item.item_id for item in unpacked(kept.slate)]
            for user, kept in found.items()
            if kept is not None
        }

    def log(self, *events: tuple[str, str, datetime]) -> None:
        """Write (user, item, instant) to the event log."""
        rows = [
            {
                "event_id": f"e{place}",
                "user_id": user,
                "item_id": item,
                "event": "watch",
                "value": None,
                "timestamp": at,
                "received": at,
                "organic": True,
            }
            for place, (user, item, at) in enumerate(events)
        ]
        sink = BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink)
        key = f"events/date={events[0][2].date()}/0-0-{len(rows)}.parquet"
        open_store(self.store).write_new(key, sink.getvalue())


@pytest.fixture
def place(tiny: TinyRun, tmp_path: Path) -> Place:
    return Place(tiny, tmp_path)


@pytest.fixture(scope="module")
def users(recommender: Recommender) -> dict[str, datetime | None]:
    """Every released user's last instant."""
    rows = users_table(recommender.directory / USERS).select(["user_id", "times"]).to_pylist()
    return {row["user_id"]: row["times"][-1] if row["times"] else None for row in rows}


def test_what_is_kept_is_what_a_request_is_answered(
    place: Place, recommender: Recommender, users: Mapping[str, datetime | None]
) -> None:
    active = [user for user, last in users.items() if last is not None]
    done = place.run()
    assert (done["users"], done["slates"], done["resumed"]) == (len(users), len(active), 0)
    assert done["skipped"] == ({"inactive": len(users) - len(active)} if len(active) < len(users) else {})
    state = open_state(FeedbackConfig(**place.feedback))
    for user in active[::3]:
        kept = state.slate(place.release_id, user)
        assert kept is not None
        (answer,) = recommender.recommend_batch([Request(user_id=user, k=12, at=NOW)])
        items = unpacked(kept.slate)
        assert [(i.item_id, i.position, i.source, i.propensity) for i in items] == [
            (i.item_id, i.position, i.source, i.propensity) for i in answer.items
        ]
        assert [i.score for i in items] == pytest.approx([i.score for i in answer.items], abs=1e-5)
        assert len(items) == 12
    state.close()
    assert open_store(place.store).list("precomputed/") == []


def test_only_who_was_active_gets_a_slate(
    place: Place, recommender: Recommender, users: Mapping[str, datetime | None]
) -> None:
    manifest = json.loads((recommender.directory / "manifest.json").read_text(encoding="utf-8"))
    limit = datetime.fromisoformat(manifest["dataset"]["watermark"]) - timedelta(days=20)
    active = {user for user, last in users.items() if last is not None and last >= limit}
    quiet = next(user for user, last in users.items() if last is not None and last < limit)
    assert 5 < len(active) < len(users) - 5
    place.log((quiet, "film 03, é", NOW - timedelta(days=2)), ("p7", "film 03, é", NOW - timedelta(days=60)))
    done = place.run(active_days=20.0)
    assert set(place.slates(list(users))) == active | {quiet}
    assert done["skipped"] == {"inactive": len(users) - len(active) - 1}


def test_partitions_share_the_work_and_nobody_is_left_out(
    place: Place, users: Mapping[str, datetime | None]
) -> None:
    count = 3
    done = [place.run(f"{index}/{count}") for index in range(count)]
    whole = place.slates(list(users))
    assert sum(one["slates"] for one in done) == len(whole)
    assert sum(one["users"] for one in done) == len(users)
    assert min(one["slates"] for one in done) > 0
    totals = finish_precompute(
        place.feedback, place.store, [json.dumps([one]) for one in done], place.folder / "report.html"
    )
    assert (totals["users"], totals["slates"], totals["dropped"]) == (len(users), len(whole), 0)
    page = (place.folder / "report.html").read_text(encoding="utf-8")
    assert "0/3" in page
    assert place.release_id in page


class Failing:
    """A state that fails at one write, as a full disk would."""

    def __init__(self, state: SqliteState, at: int) -> None:
        self.state, self.left, self.written = state, at, []  # type: ignore[var-annotated]

    def put_slates(self, release_id: str, slates: Mapping[str, bytes], seconds: float) -> None:
        self.left -= 1
        if not self.left:
            raise StorageError("state.db: disk full; look at the disk")
        self.written += list(slates)
        self.state.put_slates(release_id, slates, seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state, name)


def test_a_state_that_fails_says_so_and_the_next_run_goes_on(
    place: Place, users: Mapping[str, datetime | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Failing] = []

    def opening(at: int) -> Callable[[FeedbackConfig], Any]:
        def opened(_: FeedbackConfig) -> Any:
            made.append(Failing(SqliteState(Path(place.feedback["state"])), at))
            return made[-1]

        return opened

    monkeypatch.setattr(worker, "open_state", opening(4))
    with pytest.raises(StorageError, match=r"disk full.*; 48 slates of partition 0/1 are kept") as raised:
        place.run(size=16)
    assert not isinstance(raised.value, ConflictError)
    monkeypatch.setattr(worker, "open_state", opening(-1))
    done = place.run(size=16, at=NOW + timedelta(minutes=5))
    first, second = made
    assert len(first.written) == 48
    assert set(first.written).isdisjoint(second.written)
    assert sorted(first.written + second.written) == sorted(place.slates(list(users)))
    assert (done["users"], done["slates"]) == (len(users), len(first.written) + len(second.written))
    assert 48 <= done["resumed"] < len(users)


_KILLED = """
import sys, json
from datetime import datetime, UTC
from slate.clock import ManualClock
from slate.recommend.precompute import progress
from slate.steps.precompute import precompute
progress._PAUSE_S = 0.0
batch, feedback, store, at = json.loads(sys.argv[1])
precompute(batch, feedback, store, "0/1", clock=ManualClock(datetime.fromisoformat(at)))
"""


def test_a_killed_run_is_gone_on_with(place: Place, users: Mapping[str, datetime | None]) -> None:
    told = json.dumps([{**EVER, "size": 1}, place.feedback, place.store, NOW.isoformat()])
    process = subprocess.Popen([sys.executable, "-c", _KILLED, told])
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if Path(place.feedback["state"]).exists() and len(place.slates(list(users))) >= 5:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    before = place.slates(list(users))
    assert 5 <= len(before) < len(users)
    done = place.run(at=NOW + timedelta(minutes=1))
    assert 4 <= done["resumed"] < len(users)
    after = place.slates(list(users))
    assert len(after) == done["slates"] == sum(last is not None for last in users.values())
    assert {user: after[user] for user in before} == before


def test_slates_expire(place: Place) -> None:
    place.run(expires_h=2.0)
    clock = ManualClock(datetime.now(UTC))
    state = SqliteState(Path(place.feedback["state"]), clock=clock)
    assert state.slate(place.release_id, "p1") is not None
    clock.advance(timedelta(hours=1, minutes=30))
    assert state.slate(place.release_id, "p1") is not None
    clock.advance(timedelta(hours=1))
    assert state.slate(place.release_id, "p1") is None
    state.close()


def test_items_that_were_taken_down_are_in_no_slate(place: Place) -> None:
    place.run()
    down = place.slates(["p1"])["p1"][:3]
    state = open_state(FeedbackConfig(**place.feedback))
    state.put_items([(item, False, {}) for item in down])
    state.close()
    place.run()
    slate = place.slates(["p1"])["p1"]
    assert set(slate).isdisjoint(down)
    assert len(slate) == 12


def test_what_happened_since_counts_and_newcomers_are_known_by_it(place: Place) -> None:
    place.run()
    before = place.slates(["p1"])["p1"]
    state = open_state(FeedbackConfig(**place.feedback))
    at = (NOW - timedelta(days=1)).timestamp()
    state.remember({who: [Happened(f"e-{who}", before[0], "watch", at)] for who in ("p1", "new")}, keep=9)
    state.close()
    place.log(("new", before[0], NOW - timedelta(days=1)), ("gone", before[0], NOW - timedelta(days=1)))
    done = place.run()
    slates = place.slates(["p1", "new", "gone"])
    assert set(slates) == {"p1", "new"}
    assert before[0] not in slates["p1"]
    assert before[0] not in slates["new"]
    assert done["skipped"]["unknown"] == 1
    assert sum(place.run(f"{index}/3")["skipped"].get("unknown", 0) for index in range(3)) == 1


def test_a_user_with_bad_features_costs_nobody_else_their_slate(
    place: Place, users: Mapping[str, datetime | None], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    from slate.errors import ModelError
    from slate.recommend.stages.funnel import Funnel

    honest = Funnel.retrieve

    def retrieve(self: Funnel, asks: Any, count: int | None = None) -> Any:
        if any(ask.user_id == "p5" for ask in asks):
            raise ModelError("query tower: not finite")
        return honest(self, asks, count)

    monkeypatch.setattr(Funnel, "retrieve", retrieve)
    done = place.run()
    assert done["skipped"]["failed"] == 1
    assert done["slates"] == sum(last is not None for last in users.values()) - 1
    assert "no slate for user 'p5': query tower: not finite" in capfd.readouterr().out
    assert place.slates(["p5"]) == {}


def test_two_runs_of_one_partition_do_not_pass_unnoticed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PAUSE_S", 0.0)
    keep = progress.Journal.keep
    calls = 0

    def with_a_rival(self: progress.Journal) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            open_store(place.store).delete(self._key)
        keep(self)

    monkeypatch.setattr(progress.Journal, "keep", with_a_rival)
    with pytest.raises(ConflictError, match="another process computes the same slates"):
        place.run(size=16)


def test_without_a_live_release_there_is_nothing_to_compute(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no live release"):
        precompute({}, {"state": str(tmp_path / "s.db")}, str(tmp_path / "store"), "0/1")
    assert read_channel(open_store(str(tmp_path / "store")), "stable") is None


def test_on_a_cluster_a_file_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="would be lost"):
        precompute(EVER, place.feedback, place.store, "0/1", shared=True)


@pytest.mark.slow
def test_processes_share_a_partition(place: Place, users: Mapping[str, datetime | None]) -> None:
    done = place.run(workers=2)
    assert (
        len(place.slates(list(users))) == done["slates"] == sum(last is not None for last in users.values())
    )
    assert open_store(place.store).list("precomputed/") == []
