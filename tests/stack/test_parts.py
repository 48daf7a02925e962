"""Keys, logs, ports, compressed time, and which servers a rollout needs."""

import json
import os
import socket
import stat
import time
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.stack import Ports, Stack, apart
from serving.stack.clock import stack_scale
from serving.stack.demand import Demand, needed
from serving.stack.keys import stack_keys
from serving.stack.logs import tail, trim
from slate.clock import SystemClock, isoformat
from slate.config import load_config
from slate.errors import ConfigError, RolloutError
from slate.feedback.endpoint.keys import SCOPES, Gatekeeper, keys_from_environment
from slate.feedback.signing import Signer
from slate.release.rollouts import point
from slate.rollout.state import Move, RolloutStatus, State, Stored, create, swap
from slate.storage import ObjectStore, open_store
from tests.conftest import write_tiny_world


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLATE_SIGNING_KEYS", "SLATE_API_KEYS", "SLATE_TIME_SCALE"):
        monkeypatch.delenv(name, raising=False)


def test_keys_are_made_once_and_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = stack_keys(tmp_path)
    assert stack_keys(tmp_path) == keys
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    for name, value in keys.environment.items():
        monkeypatch.setenv(name, value)
    assert Signer.from_environment().sign("u", "r", "stable").startswith("v1.up.")
    principal = Gatekeeper(keys_from_environment()).identify({b"x-api-key": keys.api_key.encode()})
    assert principal.scopes == SCOPES


def test_the_environments_keys_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATE_SIGNING_KEYS", "mine:" + "a" * 24)
    monkeypatch.setenv("SLATE_API_KEYS", f"h:sha256={'0' * 64}:items,web:secret-secret-secret:outcomes")
    keys = stack_keys(tmp_path)
    assert (keys.signing, keys.api_key) == ("mine:" + "a" * 24, "secret-secret-secret")
    assert not (tmp_path / "keys.json").exists()
    monkeypatch.setenv("SLATE_API_KEYS", f"h:sha256={'0' * 64}:items")
    assert stack_keys(tmp_path).api_key == ""


def test_keys_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    with pytest.raises(ConfigError, match="remove it"):
        stack_keys(tmp_path)


def test_a_log_is_bounded_while_somebody_writes(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    with path.open("ab", buffering=0) as file:
        for number in range(200):
            file.write(b"%03d %s\n" % (number, b"x" * 95))
            trim(path, 2000)
    kept = path.read_bytes() + path.with_name("one.log.1").read_bytes()
    assert path.stat().st_size <= 2100
    assert len(kept) <= 4200
    assert b"199 " in kept
    assert tail(path).splitlines()[-1].startswith("199 ")
    assert b"\0" not in kept, "it goes on at the beginning"


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    trim(tmp_path / "none")
    assert tail(tmp_path / "none") == ""


def test_ports_are_free_below_those_of_clients_and_apart() -> None:
    ports = Ports.free(gateway=11_111)
    found = [getattr(ports, each.name) for each in fields(ports)]
    assert ports.gateway == 11_111
    assert len(set(found)) == len(found)
    assert all(10_000 < port < 32_000 for port in found)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} \(gateway\) is taken.*--gateway-port"):
            Ports.free(gateway=port).check()


def test_compressed_time_goes_on_where_it_was(tmp_path: Path) -> None:
    assert stack_scale(tmp_path, 1.0).factor == 1.0
    first = stack_scale(tmp_path, 600.0)
    then = SystemClock(first).now()
    time.sleep(0.05)
    again = stack_scale(tmp_path, 600.0)
    assert again == pytest.approx(first)
    assert SystemClock(again).now() - then >= timedelta(seconds=600 * 0.05)
    with pytest.raises(ConfigError, match="ran 600 times as fast"):
        stack_scale(tmp_path, 1.0)
    with pytest.raises(ConfigError, match="must be above 0"):
        stack_scale(tmp_path, 0.0)


def moved(status: RolloutStatus, step: str, threshold: int) -> Move:
    at = isoformat(datetime.now(UTC))
    return Move(status=status, step=step, threshold=threshold, at=at, by="ann", reason="so")


def begun(store: ObjectStore) -> Stored:
    """A rollout in step shadow."""
    first = moved(RolloutStatus.SHADOW, "shadow", 0)
    present = first.model_dump(include={"status", "step", "threshold", "at", "by"})
    state = State(
        rollout_id="r-1",
        release_id="b",
        stable_release_id="a",
        salt="r-1",
        steps=(5.0, 50.0),
        sequence=1,
        history=(first,),
        **present,
    )
    stored = create(store, state)
    point(store, "r-1", None)
    return stored


def test_servers_are_there_while_a_rollout_needs_them(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    assert needed(store) == frozenset()
    stored = begun(store)
    assert needed(store) == {"candidate", "shadow"}
    for status, step, threshold in (
        (RolloutStatus.CANARY, "5", 500),
        (RolloutStatus.PROMOTING, "5", 500),
        (RolloutStatus.PROMOTED, "5", 0),
    ):
        stored = swap(store, stored, stored.state.moved(moved(status, step, threshold)))
        assert needed(store) == {"candidate"}, "the gateway may still send users there"
    from slate.release.rollouts import read_pointer

    point(store, "r-1", read_pointer(store), ended=True)
    assert needed(store) == frozenset()


def test_what_was_needed_stays_a_moment_and_through_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.stack.demand._GRACE_SECONDS", 0.3)
    store, said = open_store(str(tmp_path / "store")), list[str]()
    stored = begun(store)
    demand = Demand(store, said.append)
    demand._look()
    assert demand.variants() == {"candidate", "shadow"}
    whole = (tmp_path / "store" / "rollouts" / "r-1" / "state.json").read_bytes()
    (tmp_path / "store" / "rollouts" / "r-1" / "state.json").write_text(json.dumps({}))
    with pytest.raises(RolloutError):
        needed(store)
    for _ in range(3):
        demand._look()
    time.sleep(0.4)
    assert demand.variants() == {"candidate", "shadow"}
    assert len(said) == 1
    (tmp_path / "store" / "rollouts" / "r-1" / "state.json").write_bytes(whole)
    swap(store, stored, stored.state.moved(moved(RolloutStatus.CANARY, "5", 500)))
    demand._look()
    assert demand.variants() == {"candidate", "shadow"}, "the shadow stays a moment"
    time.sleep(0.4)
    assert demand.variants() == {"candidate"}


def test_stacks_apart_share_nothing(tmp_path: Path) -> None:
    world = write_tiny_world(tmp_path)
    one, two = (load_config(world, apart(tmp_path / name)) for name in ("one", "two"))
    for config, name in ((one, "one"), (two, "two")):
        inside = [config.feedback.state, config.serving.state, config.rollout.gateway.folder]
        assert all(path.startswith(f"{tmp_path / name}{os.sep}") for path in inside)


def test_servers_and_feedback_that_would_not_meet_are_refused(tmp_path: Path) -> None:
    world = write_tiny_world(tmp_path)
    with pytest.raises(ConfigError, match=r"feedback\.state other\.db"):
        Stack(str(tmp_path), tmp_path / "up", config=world, overrides=["feedback.state=other.db"])
