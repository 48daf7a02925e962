import json
import threading
from pathlib import Path
from typing import Any

import pytest

from slate.errors import ConflictError, NotFoundError, ReleaseError
from slate.release.channels import move_channel, read_channel
from slate.release.publish import publish
from slate.release.rollouts import active_rollouts
from slate.rollout.by_hand import abort, force
from slate.rollout.judge.verdict import Decision
from slate.rollout.promotion import move_stable
from slate.rollout.start import start
from slate.rollout.state import read_state, swap
from slate.rollout.transition import by_verdict, transition
from slate.rollout.verdicts import last_verdict
from slate.steps.start_rollout import start_rollout
from slate.storage import open_store
from tests.release.conftest import make_release
from tests.rollout.bench import World, config, world

__all__ = ["make_release"]


@pytest.fixture
def ready(tmp_path: Path, make_release: Any) -> World:
    return world(tmp_path, make_release)


def test_a_rollout_starts_where_no_user_sees_it(ready: World) -> None:
    rollout_id = start(ready.store, ready.new, config(steps=(1, 5)), by="ann", clock=ready.clock)
    raw = json.loads(ready.store.read(f"rollouts/{rollout_id}/state.json"))
    assert (raw["status"], raw["threshold"], raw["steps"]) == ("shadow", 0, [1.0, 5.0])
    assert (raw["salt"], raw["stable_release_id"]) == (rollout_id, ready.old)
    assert raw["history"][0]["by"] == "ann"
    assert active_rollouts(ready.store) == [rollout_id]
    for name in ("shadow", "candidate"):
        channel = read_channel(ready.store, name)
        assert channel is not None
        assert channel.release_id == ready.new
    stable = read_channel(ready.store, "stable")
    assert stable is not None
    assert stable.release_id == ready.old


def test_one_at_a_time_and_the_next_after_its_end(ready: World) -> None:
    first = start(ready.store, ready.new, config(), by="ann", clock=ready.clock)
    with pytest.raises(ConflictError, match=f"{first} is under way"):
        start(ready.store, ready.new, config(), by="bob")
    abort(ready.store, first, "ann", "enough", ready.clock)
    ready.pass_(1)
    second = start(ready.store, ready.new, config(), by="bob", clock=ready.clock)
    assert active_rollouts(ready.store) == [second]
    assert second != first


def test_what_the_last_one_left_to_do_is_done_first(ready: World, make_release: Any) -> None:
    first = start(ready.store, ready.new, config(steps=(50,)), by="ann", clock=ready.clock)
    for decision in (Decision.ADVANCE, Decision.PROMOTE):
        force(ready.store, first, decision, "ann", "now", ready.clock)
        stored, last = read_state(ready.store, first), last_verdict(ready.store, first)
        assert last is not None
        move = by_verdict(stored.state, last.verdict, last.number, last.verdict.at)
        assert move is not None
        swap(ready.store, stored, transition(stored.state, move, last.verdict))
    assert move_stable(ready.store, read_state(ready.store, first).state, ready.clock) is None
    abort(ready.store, first, "ann", "smoke", ready.clock)
    folder, newest = make_release()
    publish(ready.store, folder)
    second = start(ready.store, newest.release_id, config(), by="ann", clock=ready.clock)
    stable = read_channel(ready.store, "stable")
    assert stable is not None
    assert stable.release_id == ready.old == read_state(ready.store, second).state.stable_release_id


def test_of_two_started_in_one_instant_one_is_there(ready: World) -> None:
    found: list[object] = []

    def run(name: str) -> None:
        try:
            found.append(start(open_store(ready.store.uri), ready.new, config(), by=name))
        except ConflictError as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("ann", "bob", "cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = [each for each in found if isinstance(each, str)]
    assert len(started) == 1
    assert active_rollouts(ready.store) == started
    states = [key for key in ready.store.list("rollouts/") if key.endswith("state.json")]
    assert states == [f"rollouts/{started[0]}/state.json"]


def test_shares_that_move_begin_with_the_smallest(ready: World) -> None:
    moving = config(allocation="thompson", thompson={"minimum": 0.07, "every_s": 60})
    rollout_id = start(ready.store, ready.new, moving, by="ann", clock=ready.clock)
    state = read_state(ready.store, rollout_id).state
    assert (state.next_step, state.first_threshold("thompson")) == ("thompson", 700)


def test_what_cannot_be_rolled_out_starts_nothing(ready: World, tmp_path: Path, make_release: Any) -> None:
    folder, refused = make_release(verdict={"status": "refused", "checks": []})
    publish(ready.store, folder)
    folder, newest = make_release()
    publish(ready.store, folder)
    empty = open_store(tmp_path / "empty")
    publish(empty, folder)
    empty.delete("channels/stable.json")
    with pytest.raises(ReleaseError, match="only a passed release"):
        start(ready.store, refused.release_id, config(), by="ann")
    with pytest.raises(ReleaseError, match="is stable already"):
        start(ready.store, ready.old, config(), by="ann")
    with pytest.raises(NotFoundError):
        start(ready.store, ready.new[:-12] + "0" * 12, config(), by="ann")
    with pytest.raises(ReleaseError, match="stable is empty"):
        start(empty, newest.release_id, config(), by="ann")
    move_channel(ready.store, "stable", newest.release_id, reason="by hand", by="ann")
    with pytest.raises(ReleaseError, match="is older than"):
        start(ready.store, ready.new, config(), by="ann")
    assert active_rollouts(ready.store) == active_rollouts(empty) == []
    # It was stable once, so it may be again.
    assert start(ready.store, ready.old, config(), by="ann")


def test_the_step_takes_its_ramp_from_the_config(ready: World) -> None:
    rollout_id = start_rollout(ready.store.uri, {"steps": [2, 50]}, ready.new)
    assert read_state(ready.store, rollout_id).state.steps == (2.0, 50.0)


def test_the_first_release_of_all_is_live_without_a_rollout(
    ready: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start_rollout(ready.store.uri, {}, ready.old) == ""
    assert "is stable already" in capsys.readouterr().out
    assert active_rollouts(ready.store) == []
