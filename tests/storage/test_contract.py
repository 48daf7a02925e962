"""One contract, two stores: a directory, and a bucket of the real fake-gcs-server."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.errors import ConflictError, NotFoundError, StorageError
from slate.storage import ObjectStore, Versioned, open_store


@pytest.fixture
def store(store_uri: str) -> ObjectStore:
    return open_store(store_uri)


def test_what_is_written_is_read_back_by_another_client(store: ObjectStore, store_uri: str) -> None:
    store.write_new("a/b.bin", b"\x00\r\n--x\xff")
    store.write_new("a/c.bin", b"")
    again = open_store(store_uri)
    assert again.read("a/b.bin") == b"\x00\r\n--x\xff"
    assert again.read("a/c.bin") == b""
    assert (again.size("a/b.bin"), again.size("a/c.bin")) == (7, 0)


def test_an_object_is_created_once(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"second")
    store.write_new("key", b"first")
    with pytest.raises(ConflictError, match="key: already exists"):
        store.write_new("key", b"second")
    with pytest.raises(ConflictError, match="key: already exists"):
        store.upload_file("key", tmp_path / "file")
    with pytest.raises(ConflictError, match="key: already exists"):
        store.compare_and_swap("key", b"second", None)
    assert store.read("key") == b"first"


def test_a_swap_needs_the_generation_that_was_read(store: ObjectStore) -> None:
    first = store.compare_and_swap("channels/stable.json", b"1", None)
    assert store.read_versioned("channels/stable.json") == Versioned(b"1", first)
    second = store.compare_and_swap("channels/stable.json", b"2", first)
    assert second > first
    with pytest.raises(ConflictError, match=f"generation {first}"):
        store.compare_and_swap("channels/stable.json", b"3", first)
    assert store.read_versioned("channels/stable.json") == Versioned(b"2", second)


def test_a_swap_of_an_absent_object_fails(store: ObjectStore) -> None:
    with pytest.raises(ConflictError, match="absent"):
        store.compare_and_swap("absent", b"1", 1)
    assert not store.exists("absent")


def test_the_same_content_again_is_another_generation(store: ObjectStore) -> None:
    seen = [store.compare_and_swap("k", b"A", None)]
    for data in (b"B", b"A", b"A"):
        seen.append(store.compare_and_swap("k", data, seen[-1]))
    store.delete("k")
    seen.append(store.compare_and_swap("k", b"A", None))
    store.delete("k")
    store.write_new("k", b"A")
    seen.append(store.read_versioned("k").generation)
    assert seen == sorted(set(seen))
    for stale in seen[:-1]:
        with pytest.raises(ConflictError):
            store.compare_and_swap("k", b"C", stale)


def test_an_object_made_by_write_new_can_be_swapped(store: ObjectStore) -> None:
    store.write_new("k", b"A")
    generation = store.read_versioned("k").generation
    assert store.compare_and_swap("k", b"B", generation) > generation
    assert store.read("k") == b"B"


def test_files_travel_whole(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000  # 10 MB: above the client library's own multipart limit
    (tmp_path / "big").write_bytes(content)
    store.upload_file("deep/er/big", tmp_path / "big")
    store.download("deep/er/big", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert store.size("deep/er/big") == len(content)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["big", "copy"]


def test_an_upload_of_a_missing_file_names_it(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone"):
        store.upload_file("key", tmp_path / "gone")
    assert not store.exists("key")


def test_listing_is_sorted_and_by_prefix(store: ObjectStore, tmp_path: Path) -> None:
    for key in ("r/b/2", "r/b/10", "r/a", "rx", "s/ü"):
        store.write_new(key, key.encode())
    assert store.list() == ["r/a", "r/b/10", "r/b/2", "rx", "s/ü"]
    assert store.list("r") == ["r/a", "r/b/10", "r/b/2", "rx"]
    assert store.list("r/") == ["r/a", "r/b/10", "r/b/2"]
    assert store.list("r/b/1") == ["r/b/10"]
    assert store.list("none/") == []
    entry = store.entries("s/")[0]
    assert (entry.key, entry.size) == ("s/ü", 4)
    assert entry.updated.tzinfo is not None


def test_absent_objects_say_so(store: ObjectStore, tmp_path: Path) -> None:
    assert not store.exists("channels/none.json")
    for call in (store.read, store.read_versioned, store.size):
        with pytest.raises(NotFoundError, match=r"channels/none\.json: does not exist"):
            call("channels/none.json")
    with pytest.raises(NotFoundError, match=r"channels/none\.json"):
        store.download("channels/none.json", tmp_path / "x")
    assert list(tmp_path.glob("*x*")) == []
    store.delete("channels/none.json")


def test_a_folder_is_not_an_object(store: ObjectStore) -> None:
    store.write_new("folder/object", b"1")
    assert not store.exists("folder")
    with pytest.raises(NotFoundError):
        store.read("folder")


def test_deleting_leaves_the_others(store: ObjectStore) -> None:
    store.write_new("a/1", b"1")
    store.write_new("a/2", b"2")
    store.delete("a/1")
    assert store.list() == ["a/2"]
    store.delete("a/2")
    assert store.list() == []
    store.write_new("a/1", b"again")
    assert store.read("a/1") == b"again"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "..",
        "a/../b",
        "../a",
        "a//b",
        "a/",
        "./a",
        "a/.",
        "a\\b",
        "a\nb",
        "a\x00b",
        ".store/x",
        "\ud800",
        "ä" * 513,
    ],
)
def test_keys_that_could_leave_the_store_are_refused(store: ObjectStore, tmp_path: Path, key: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for call in (
        lambda: store.read(key),
        lambda: store.read_versioned(key),
        lambda: store.write_new(key, b""),
        lambda: store.compare_and_swap(key, b"", None),
        lambda: store.upload_file(key, tmp_path / "file"),
        lambda: store.download(key, tmp_path / "out"),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.size(key),
        lambda: store.local_path(key),
    ):
        with pytest.raises(StorageError, match="storage key"):
            call()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["swap", "stale", "delete", "new"]), st.binary(max_size=3)), max_size=8
    )
)
def test_any_sequence_of_writes_behaves_like_one_register(
    store: ObjectStore, steps: list[tuple[str, bytes]]
) -> None:
    key = f"register/{uuid.uuid4()}"
    content: bytes | None = None
    generation: int | None = None
    stale: list[int] = []
    for action, data in steps:
        if action == "delete":
            store.delete(key)
            content, generation = None, None
        elif action == "new" and content is not None:
            with pytest.raises(ConflictError):
                store.write_new(key, data)
        elif action == "new":
            store.write_new(key, data)
            content, generation = data, store.read_versioned(key).generation
            assert generation not in stale
            stale.append(generation)
        elif action == "stale":
            for old in stale:
                if old != generation:
                    with pytest.raises(ConflictError):
                        store.compare_and_swap(key, data, old)
        else:
            generation = store.compare_and_swap(key, data, generation)
            assert generation not in stale
            content = data
            stale.append(generation)
        if content is None:
            assert not store.exists(key)
        else:
            assert store.read_versioned(key) == Versioned(content, generation or 0)


def test_of_twenty_racing_creators_one_wins(store: ObjectStore) -> None:
    barrier = threading.Barrier(20)

    def create(number: int) -> bool:
        barrier.wait()
        try:
            store.write_new("once", str(number).encode())
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        won = [n for n, w in enumerate(pool.map(create, range(20))) if w]
    assert len(won) == 1
    assert store.read("once") == str(won[0]).encode()
