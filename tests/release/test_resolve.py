"""From what a person names to one release, in both kinds of store."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slate.errors import NotFoundError, ReleaseError, StorageError
from slate.release.channels import move_channel
from slate.release.publish import fetch, list_releases, publish
from slate.release.resolve import open_verified, resolve
from slate.release.rollouts import active_rollouts, point, read_pointer
from slate.release.verify import verify_directory, verify_in_store
from slate.storage import open_store


def test_every_form_finds_its_release(store_uri: str, make_release: Any, tmp_path: Path) -> None:
    store = open_store(store_uri)
    (first_folder, first), (second_folder, second) = make_release(), make_release()
    for folder in (second_folder, first_folder):
        publish(store, folder)
    move_channel(store, "stable", first.release_id, "", "x")
    move_channel(store, "shadow", second.release_id, "", "x")
    a, b = first.release_id, second.release_id
    assert list_releases(store) == [a, b]
    assert resolve("stable", store)[0::3] == (a, "stable")
    assert resolve("shadow", store).release_id == b
    assert resolve(b, store).release_id == b
    assert resolve(b[:14], store).release_id == b
    assert resolve(store_uri)[0::3] == (a, "stable")
    assert resolve(f"{store_uri}/releases/{b}").release_id == b
    assert resolve(str(second_folder)).directory == second_folder
    with pytest.raises(ReleaseError, match="fits 2 releases"):
        resolve("20261121T", store)
    for absent in ("candidate", "2099", a[:-12] + "0" * 12):
        with pytest.raises(NotFoundError):
            resolve(absent, store)
    opened = open_verified(store_uri, cache_dir=tmp_path / "cache")
    assert (opened.manifest, opened.channel) == (first, "stable")
    assert (opened.path / "fallback.json").is_file()
    assert open_verified(str(second_folder)).manifest == second


def test_what_means_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no store is given"):
        resolve("stable")
    with pytest.raises(NotFoundError, match="neither a sealed release"):
        resolve(str(tmp_path))
    with pytest.raises(NotFoundError, match="name a channel"):
        resolve("no/such/folder", open_store(tmp_path))


def test_publishing_again_is_harmless_and_conflicts_are_not(store_uri: str, make_release: Any) -> None:
    store = open_store(store_uri)
    folder, manifest = make_release()
    seen: list[str] = []
    assert publish(store, folder, on_file=lambda f: seen.append(f.path)) == manifest.release_id
    assert seen == [f.path for f in manifest.files]
    assert publish(store, folder) == manifest.release_id
    key = f"releases/{manifest.release_id}/manifest.json"
    store.delete(key)
    store.write_new(key, b"{}")
    with pytest.raises(ReleaseError, match="differs from the manifest"):
        publish(store, folder)


def test_a_spoilt_leftover_is_replaced_and_a_foreign_one_refused(store_uri: str, make_release: Any) -> None:
    store = open_store(store_uri)
    folder, manifest = make_release()
    prefix = f"releases/{manifest.release_id}"
    store.write_new(f"{prefix}/fallback.json", (folder / "fallback.json").read_bytes()[::-1])
    store.write_new(f"{prefix}/foreign", b"")
    with pytest.raises(ReleaseError, match="'foreign' is foreign"):
        publish(store, folder)
    assert list_releases(store) == []
    store.delete(f"{prefix}/foreign")
    publish(store, folder)
    assert store.read(f"{prefix}/fallback.json") == (folder / "fallback.json").read_bytes()


def test_publishers_and_readers_at_once_agree(store_uri: str, make_release: Any, tmp_path: Path) -> None:
    folder, manifest = make_release({f"part-{n}": bytes([n]) * 1000 for n in range(12)})
    barrier = threading.Barrier(8)

    def work(_: int) -> Path:
        store = open_store(store_uri)
        barrier.wait(30)
        release_id = publish(store, folder)
        barrier.wait(30)
        return fetch(store, release_id, tmp_path / "cache")

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(work, range(8)))
    assert found == {tmp_path / "cache" / manifest.release_id}
    assert verify_directory(found.pop()) == manifest
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [".lock", manifest.release_id]
    verify_in_store(open_store(store_uri), manifest.release_id)


def test_a_sealed_file_that_went_missing_is_named(store_uri: str, make_release: Any, tmp_path: Path) -> None:
    store = open_store(store_uri)
    folder, manifest = make_release()
    publish(store, folder)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="check that it is writable"):
        fetch(store, manifest.release_id, tmp_path / "file")
    store.delete(f"releases/{manifest.release_id}/fallback.json")
    with pytest.raises(ReleaseError, match=r"'fallback\.json' is missing"):
        fetch(store, manifest.release_id, tmp_path / "cache")


@pytest.mark.parametrize(
    ("state", "active"),
    [
        (b'{"status": "promoted"}', False),
        (b'{"status": "canary"}', True),
        (b'{"status": "aborted"}', False),
        (b"{", True),
        (b"[]", True),
        (b'{"status": "inconclusive"}', False),
    ],
)
def test_a_rollout_counts_until_it_ends(tmp_path: Path, state: bytes, active: bool) -> None:
    store = open_store(tmp_path / "store")
    assert active_rollouts(store) == []
    store.write_new("rollouts/r1/state.json", state)
    store.write_new("rollouts/r1/verdicts/000001.json", b"{}")
    assert active_rollouts(store) == []
    point(store, "r1", None)
    assert active_rollouts(store) == (["r1"] if active else [])
    point(store, "r1", read_pointer(store), ended=True)
    assert active_rollouts(store) == []
