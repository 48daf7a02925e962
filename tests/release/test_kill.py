"""A publisher killed with SIGKILL at every storage call leaves no torn release that anybody can see."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from slate.errors import NotFoundError
from slate.release.channels import read_channel, take_if_empty
from slate.release.publish import fetch, list_releases, list_unsealed, prune_unsealed, publish
from slate.release.verify import verify_in_store
from slate.storage import LocalStore, ObjectStore, open_store

Kill = Callable[..., int]


@pytest.fixture
def kill_at(request: pytest.FixtureRequest) -> Iterator[Kill]:
    """Run one case in a forked publisher; returns its wait status."""
    if "gcs" in request.node.name:
        request.getfixturevalue("gcs")
    program = [sys.executable, str(Path(__file__).with_name("killer.py"))]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def kill(**case: Any) -> int:
            process.stdin.write(json.dumps(case) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield kill
        process.stdin.close()


MODES = {
    # mode: the fewest moments that a publication of three files can have
    "local before": 8,
    "local after": 8,
    "local file system": 30,
    "local half written": 8,
    "gcs before": 8,
    "gcs after": 8,
    "gcs half sent": 20,
    "gcs unanswered": 8,
}


@pytest.mark.gcs
@pytest.mark.parametrize("mode", MODES)
def test_no_moment_of_death_leaves_a_torn_release(
    mode: str, kill_at: Kill, make_release: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where, _, kind = mode.partition(" ")
    folder, manifest = make_release({"a/x": b"x" * 5000, "b": b"", "c": b"1"})
    root = str(tmp_path / "stores") if where == "local" else request.getfixturevalue("gcs").new_bucket()
    visible = unfinished = 0
    for index in range(1000):
        uri = f"{root}/case-{index}"
        status = kill_at(uri=uri, folder=str(folder), release_id=manifest.release_id, mode=kind, index=index)
        store = open_store(uri)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        if list_releases(store):
            visible += 1
            assert list_releases(store) == [manifest.release_id]
            assert verify_in_store(store, manifest.release_id) == manifest
        else:
            unfinished += bool(list_unsealed(store))
            assert read_channel(store, "stable") is None
            with pytest.raises(NotFoundError, match="no sealed release"):
                fetch(store, manifest.release_id, tmp_path / "cache")
        goes_on(store, folder, manifest.release_id)
    assert status == 0
    assert index >= MODES[mode]
    assert visible >= 1
    assert unfinished >= 3


def goes_on(store: ObjectStore, folder: Path, release_id: str) -> None:
    """The next run finishes what the killed one began."""
    assert publish(store, folder) == release_id
    take_if_empty(store, "stable", release_id)
    channel = read_channel(store, "stable")
    assert channel is not None
    assert (channel.release_id, channel.sequence) == (release_id, 1)
    assert list_releases(store) == [release_id]
    assert list_unsealed(store) == []
    verify_in_store(store, release_id)


def test_leftovers_of_a_killed_publisher_can_be_pruned(
    kill_at: Kill, make_release: Any, tmp_path: Path
) -> None:
    folder, manifest = make_release()
    whole, second = make_release()
    store = LocalStore(tmp_path / "store")
    publish(store, whole)
    case = {"uri": store.uri, "folder": str(folder), "release_id": manifest.release_id}
    assert kill_at(**case, mode="before", index=4) != 0
    (leftover,) = list_unsealed(store)
    assert (leftover.release_id, leftover.files) == (manifest.release_id, 2)
    assert prune_unsealed(store) == []
    assert prune_unsealed(store, older_than=timedelta(0)) == [leftover]
    assert list_unsealed(store) == []
    assert list_releases(store) == [second.release_id]
    verify_in_store(store, second.release_id)
    assert publish(store, folder) == manifest.release_id
