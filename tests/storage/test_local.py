"""What only a directory can get wrong: other processes, links, kills, full or read-only disks."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slate.errors import ConfigError, ConflictError, StorageError
from slate.storage import LocalStore, open_store


def test_objects_are_plain_files(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.compare_and_swap("channels/stable.json", b"{}", None)
    assert (tmp_path / "store/channels/stable.json").read_bytes() == b"{}"
    assert store.local_path("releases/x") == tmp_path / "store/releases/x"


def test_an_empty_store_needs_no_directory(tmp_path: Path) -> None:
    store = open_store(tmp_path / "none")
    assert store.list() == []
    assert not store.exists("k")
    assert not (tmp_path / "none").exists()


def test_generations_survive_reopening_and_deleting(tmp_path: Path) -> None:
    first = open_store(tmp_path).compare_and_swap("k", b"1", None)
    second = open_store(tmp_path).compare_and_swap("k", b"2", first)
    open_store(tmp_path).delete("k")
    third = open_store(tmp_path).compare_and_swap("k", b"1", None)
    assert first < second < third


def test_a_killed_holder_of_the_lock_lets_go(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    generation = store.compare_and_swap("k", b"1", None)
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom slate.storage import LocalStore\n"
        "with LocalStore(Path(sys.argv[1]))._exclusive('k'):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
    started = time.monotonic()
    assert store.compare_and_swap("k", b"2", generation) > generation
    assert time.monotonic() - started < 5


def test_a_kill_between_generation_and_data_costs_only_a_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    generation = store.compare_and_swap("k", b"old", None)

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.compare_and_swap("k", b"new", generation)
    data, now = store.read_versioned("k")
    assert data == b"old"
    assert now > generation
    with pytest.raises(ConflictError):
        store.compare_and_swap("k", b"new", generation)
    assert store.compare_and_swap("k", b"new", now) > now
    assert list((tmp_path / ".store/tmp").iterdir()) == []


def test_what_killed_writers_left_goes_after_a_day(tmp_path: Path) -> None:
    LocalStore(tmp_path).write_new("k", b"1")
    old, fresh = tmp_path / ".store/tmp/old", tmp_path / ".store/tmp/fresh"
    old.write_bytes(b"")
    fresh.write_bytes(b"")
    os.utime(old, (time.time() - 90_000,) * 2)
    LocalStore(tmp_path).write_new("k2", b"1")
    assert [p.name for p in (tmp_path / ".store/tmp").iterdir()] == ["fresh"]


def test_an_object_below_an_object_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write_new("a", b"1")
    with pytest.raises(StorageError, match="a/b: a part of the key"):
        store.write_new("a/b", b"2")


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = open_store(tmp_path / "file")
    with pytest.raises(StorageError, match=f"{tmp_path}/file/k: "):
        store.write_new("k", b"1")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write_new("first", b"1")
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom slate.errors import StorageError\n"
        "from slate.storage import LocalStore\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    LocalStore(Path(sys.argv[1])).write_new('big', b'x' * 5000)\n"
        "except StorageError as error:\n    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert "big: File too large; check that the directory is writable and has free space" in result.stdout
    assert store.list() == ["first"]
    assert list((tmp_path / ".store/tmp").iterdir()) == []


@pytest.mark.parametrize(("address", "message"), [("s3://bucket", "unknown scheme 's3'"), ("", "is empty")])
def test_other_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_store(address)
