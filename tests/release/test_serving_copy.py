"""Servers fetch no weights that only a next training needs; all else stays as strict as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slate.errors import ReleaseError
from slate.recommend.online.follow import ChannelFollower
from slate.release.channels import move_channel
from slate.release.manifest import Manifest
from slate.release.publish import fetch, local_copy, publish
from slate.release.verify import verify_directory, verify_in_store
from slate.storage import LocalStore
from tests.release.conftest import FILES

WEIGHTS = "training/two_tower.npz"


class Remote(LocalStore):
    """A store whose objects have to be fetched."""

    def local_path(self, key: str) -> None:  # noqa: ARG002 - as the base class has it
        return None


@pytest.fixture
def sealed(make_release: Any, tmp_path: Path) -> Manifest:
    """A release with weights, published in ``store``."""
    folder, manifest = make_release(FILES | {WEIGHTS: b"PK weights", "training/ranker.npz": b"PK more"})
    publish(LocalStore(tmp_path / "store"), folder)
    move_channel(LocalStore(tmp_path / "store"), "stable", manifest.release_id, reason="test", by="test")
    return manifest


@pytest.fixture
def store(sealed: Manifest, tmp_path: Path) -> Remote:
    return Remote(tmp_path / "store")


def test_a_server_s_copy_lacks_only_what_the_next_training_needs(
    store: Remote, sealed: Manifest, tmp_path: Path
) -> None:
    copy = local_copy(store, sealed.release_id, tmp_path / "cache", whole=False)
    found = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert found == {*FILES, "manifest.json"}
    assert verify_directory(copy, whole=False) == sealed
    with pytest.raises(ReleaseError, match=r"'training/ranker\.npz' is missing.*2 in all"):
        verify_directory(copy)


def test_a_whole_copy_takes_its_place_and_serves_as_well(
    store: Remote, sealed: Manifest, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    fetch(store, sealed.release_id, cache, whole=False)
    copy = fetch(store, sealed.release_id, cache)
    assert verify_directory(copy) == sealed
    inode = (copy / WEIGHTS).stat().st_ino
    assert fetch(store, sealed.release_id, cache, whole=False) == copy
    assert (copy / WEIGHTS).stat().st_ino == inode


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda copy: (copy / "fallback.json").unlink(), "'fallback.json' is missing"),
        (lambda copy: (copy / WEIGHTS).write_bytes(b"KP weights"), "'training/two_tower.npz' has sha256"),
        (lambda copy: (copy / "training" / "x.npz").write_bytes(b""), "'training/x.npz' is not in the"),
    ],
)
def test_what_is_there_is_verified_and_nothing_else_may_be_missing(
    store: Remote, sealed: Manifest, tmp_path: Path, tamper: Callable[[Path], object], said: str
) -> None:
    copy = fetch(store, sealed.release_id, tmp_path / "cache")
    tamper(copy)
    with pytest.raises(ReleaseError, match=said):
        verify_directory(copy, whole=False)


def test_a_store_that_lost_its_weights_is_refused_all_the_same(
    store: Remote, sealed: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "store" / "releases" / sealed.release_id / WEIGHTS).unlink()
    with pytest.raises(ReleaseError, match=r"'training/two_tower\.npz' is missing"):
        fetch(store, sealed.release_id, tmp_path / "cache", whole=False)
    with pytest.raises(ReleaseError, match=r"'training/two_tower\.npz' is missing"):
        verify_in_store(LocalStore(tmp_path / "store"), sealed.release_id)


def test_a_server_that_follows_a_channel_fetches_such_a_copy(
    store: Remote, sealed: Manifest, tmp_path: Path
) -> None:
    opened: list[Path] = []

    def load(folder: Path, manifest: Manifest) -> Any:
        opened.append(folder)

    follower = ChannelFollower(store, "stable", load, lambda _: None, cache_dir=tmp_path / "cache")
    follower.look()
    assert [folder.name for folder in opened] == [sealed.release_id]
    assert (opened[0] / "fallback.json").is_file()
    assert not (opened[0] / "training").exists()
