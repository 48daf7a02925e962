"""Slates of releases that are no longer in use."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.clock import ManualClock
from slate.feedback.open import VARIABLE
from slate.feedback.sqlite_state import SqliteState
from slate.release.channels import CANDIDATE, STABLE, move_channel, rollback
from slate.release.outdated import drop_outdated, releases_in_use
from slate.release.publish import publish
from slate.storage import ObjectStore, open_store
from tests.release.conftest import MakeRelease, make_release

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

__all__ = ["make_release"]


@pytest.fixture
def releases(tmp_path: Path, make_release: MakeRelease) -> list[str]:
    """Four releases in the store ``tmp_path/store``, the oldest first."""
    store = open_store(str(tmp_path / "store"))
    ids = []
    for _ in range(4):
        folder, manifest = make_release()
        publish(store, folder)
        ids.append(manifest.release_id)
    return ids


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    return SqliteState(tmp_path / "state.db")


def holders(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as database:
        return dict(database.execute("SELECT release_id, COUNT(*) FROM slates GROUP BY release_id"))


def fill(state: SqliteState, releases: list[str], each: int = 3) -> None:
    for release_id in releases:
        state.put_slates(release_id, {f"u{number}": b"[]" for number in range(each)}, 3600.0)


def move(store: ObjectStore, channel: str, release_id: str) -> None:
    move_channel(store, channel, release_id, reason="test", by="test")


def test_stable_candidate_and_the_one_before_are_in_use(store: ObjectStore, releases: list[str]) -> None:
    assert releases_in_use(store) == []
    move(store, STABLE, releases[0])
    assert releases_in_use(store) == [releases[0]]
    move(store, STABLE, releases[1])
    move(store, STABLE, releases[2])
    assert releases_in_use(store) == [releases[2], releases[1]]
    move(store, CANDIDATE, releases[3])
    assert releases_in_use(store) == [releases[2], releases[3], releases[1]]
    rollback(store, STABLE, releases[0])
    assert releases_in_use(store) == [releases[0], releases[3], releases[2]]


def test_only_outdated_slates_go(
    store: ObjectStore, releases: list[str], state: SqliteState, tmp_path: Path
) -> None:
    fill(state, releases, each=1200)
    assert drop_outdated(store, state) == 0, "nobody knows what is in use"
    move(store, STABLE, releases[1])
    move(store, STABLE, releases[3])
    assert drop_outdated(store, state) == 2400
    assert holders(tmp_path / "state.db") == {releases[1]: 1200, releases[3]: 1200}
    assert drop_outdated(store, state) == 0


def test_what_has_expired_goes_too(store: ObjectStore, releases: list[str], tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    state = SqliteState(tmp_path / "state.db", clock=clock)
    state.put_slates(releases[0], {"early": b"[]"}, 60)
    state.put_slates(releases[0], {"late": b"[]"}, 600)
    move(store, STABLE, releases[0])
    clock.advance(timedelta(seconds=60))
    drop_outdated(store, state)
    assert holders(tmp_path / "state.db") == {releases[0]: 1}


def cli(tmp_path: Path, *words: str) -> Any:
    """The command of somebody whose configuration names this state."""
    options = ["--store", str(tmp_path / "store"), "--set", f"feedback.state={tmp_path / 'state.db'}"]
    return CliRunner().invoke(app, ["releases", *words, *options])


def test_promoting_and_rolling_back_remove_them(
    releases: list[str], state: SqliteState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    fill(state, releases)
    assert cli(tmp_path, "promote", releases[0]).exit_code == 0
    assert holders(tmp_path / "state.db") == {releases[0]: 3}
    fill(state, releases)
    assert cli(tmp_path, "promote", releases[1]).exit_code == 0
    fill(state, releases[:3])
    promoted = cli(tmp_path, "promote", releases[2])
    assert promoted.exit_code == 0
    assert "removed 3 outdated slates" in promoted.stderr
    assert set(holders(tmp_path / "state.db")) == {releases[1], releases[2]}
    assert cli(tmp_path, "rollback").exit_code == 0
    assert set(holders(tmp_path / "state.db")) == {releases[1], releases[2]}


@pytest.mark.parametrize("trouble", ["no database", "no server", "no configuration"])
def test_a_state_in_trouble_does_not_stand_in_a_rollback_s_way(
    store: ObjectStore, releases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    move(store, STABLE, releases[0])
    move(store, STABLE, releases[1])
    more: list[str] = []
    if trouble == "no database":
        (tmp_path / "state.db").write_bytes(b"not a database, but long enough to look like one" * 100)
    elif trouble == "no server":
        monkeypatch.setenv(VARIABLE, "redis://127.0.0.1:1/0")
    else:
        more = ["--config", str(tmp_path / "nowhere.yaml")]
    done = cli(tmp_path, "rollback", "--json", *more)
    assert done.exit_code == 0
    assert f'"release_id": "{releases[0]}"' in done.stdout
    assert "outdated slates stay where they are" in done.stderr


def test_where_there_is_no_state_none_is_made(
    releases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    done = cli(tmp_path, "promote", releases[0])
    assert done.exit_code == 0
    assert done.stderr == ""
    assert not (tmp_path / "state.db").exists()
