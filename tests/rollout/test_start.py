import json
from datetime import UTC, datetime
from typing import Any

import pytest

from slate.clock import ManualClock
from slate.errors import NotFoundError
from slate.release.channels import read_channel
from slate.release.rollouts import active_rollouts
from slate.rollout.start import start
from slate.steps.start_rollout import start_rollout
from slate.storage import open_store

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_a_rollout_starts_where_no_user_sees_it(tiny: Any, tmp_path: Any) -> None:
    store = copied(tiny, tmp_path)
    rollout_id = start(store, tiny.release_id, (1, 5), by="ann", clock=ManualClock(NOW))
    state = json.loads(store.read(f"rollouts/{rollout_id}/state.json"))
    assert (state["status"], state["threshold"], state["steps"]) == ("shadow", 0, [1.0, 5.0])
    assert state["salt"] == rollout_id
    assert state["history"][0]["by"] == "ann"
    assert active_rollouts(store) == [rollout_id]
    for name in ("shadow", "candidate"):
        channel = read_channel(store, name)
        assert channel is not None
        assert channel.release_id == tiny.release_id


def test_the_step_takes_its_ramp_from_the_config(tiny: Any, tmp_path: Any) -> None:
    store = copied(tiny, tmp_path)
    rollout_id = start_rollout(str(tmp_path / "store"), {"steps": [2, 50]}, tiny.release_id)
    assert json.loads(store.read(f"rollouts/{rollout_id}/state.json"))["steps"] == [2.0, 50.0]


def test_an_absent_release_starts_nothing(tiny: Any, tmp_path: Any) -> None:
    store = copied(tiny, tmp_path)
    absent = tiny.release_id[:-12] + "0" * 12
    with pytest.raises(NotFoundError, match=absent):
        start(store, absent, (1,), by="ann")
    assert active_rollouts(store) == []


def copied(tiny: Any, tmp_path: Any) -> Any:
    """A store of its own, so that the shared one stays without rollouts."""
    import shutil

    shutil.copytree(tiny.store, tmp_path / "store")
    return open_store(tmp_path / "store")
