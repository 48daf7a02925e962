"""Put sealed releases into a store and take them out again."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from slate.clock import Clock, SystemClock
from slate.columns import MANIFEST_FILE
from slate.errors import ConflictError, NotFoundError, ReleaseError, StorageError
from slate.release.folder import hash_file
from slate.release.layout import RELEASES, manifest_key, release_prefix
from slate.release.manifest import RELEASE_ID, FileEntry
from slate.release.verify import answers, check_listing, read_manifest, verify_directory
from slate.storage import ObjectStore

DEFAULT_CACHE: Final = Path("~/.cache/slate/releases")
_PARTIAL: Final = ".fetch-"
_LOCK: Final = ".lock"
_STALE_SECONDS: Final = 24 * 3600


class Unsealed(NamedTuple):
    """What a publisher left that never wrote the manifest."""

    release_id: str
    files: int
    bytes: int
    updated: datetime


def publish(store: ObjectStore, directory: Path, on_file: Callable[[FileEntry], None] | None = None) -> str:
    """Publish a sealed folder: every file, then the manifest, which makes the release visible.

    Publishing again is harmless, and completes what a killed publisher left.

    Args:
        on_file: called after each file, for a progress display.

    Returns:
        the release id.

    Raises:
        ReleaseError: the folder is not exactly what was sealed, or the store holds foreign files or
            another manifest under this id.
        StorageError: the store could not be written; publish again.
    """
    manifest = verify_directory(directory)
    release_id = manifest.release_id
    prefix = release_prefix(release_id)
    if not store.exists(manifest_key(release_id)):
        present = set(store.list(prefix))
        for entry in manifest.files:
            _put(store, prefix + entry.path, directory / entry.path, entry, prefix + entry.path in present)
            if on_file is not None:
                on_file(entry)
        _check_complete(store, release_id, manifest.files)
    data = manifest.to_bytes()
    try:
        store.write_new(manifest_key(release_id), data)
    except ConflictError as error:
        if store.read(manifest_key(release_id)) != data:
            raise ReleaseError(
                f"{store.describe(manifest_key(release_id))}: differs from the manifest of {directory}; "
                f"'slate releases verify {release_id}' says how"
            ) from error
    return release_id


def _put(store: ObjectStore, key: str, path: Path, entry: FileEntry, present: bool) -> None:
    if not present:
        try:
            store.upload_file(key, path)
            return
        except ConflictError:
            pass  # Another publisher of the same release was faster: its file must be ours.
    if store.size(key) == entry.size and _hash_object(store, key) == entry.sha256:
        return
    store.delete(key)
    store.upload_file(key, path)


def _hash_object(store: ObjectStore, key: str) -> str:
    local = store.local_path(key)
    if local is not None and not local.is_symlink():
        return hash_file(local)
    with tempfile.TemporaryDirectory(prefix="slate-publish-") as scratch:
        copy = Path(scratch) / "object"
        store.download(key, copy)
        return hash_file(copy)


def _check_complete(store: ObjectStore, release_id: str, files: tuple[FileEntry, ...]) -> None:
    prefix = release_prefix(release_id)
    wanted = {f.path: f.size for f in files}
    found = {e.key.removeprefix(prefix): e.size for e in store.entries(prefix)}
    found.pop(MANIFEST_FILE, None)
    if found != wanted:
        odd = sorted(found.items() ^ wanted.items())
        raise ReleaseError(
            f"{store.describe(prefix)}: {odd[0][0]!r} is foreign, missing or of another size "
            f"({len(odd)} differences); 'slate releases prune' removes unsealed files, then publish again"
        )


def fetch(store: ObjectStore, release_id: str, cache_dir: Path, *, whole: bool = True) -> Path:
    """A verified local copy of a release, from the cache where it still proves right.

    Args:
        whole: without it, files that only a next training needs are not fetched; the store must have them.

    Raises:
        NotFoundError: the store has no such sealed release.
        ReleaseError: the store's copy is not what was sealed.
        StorageError: the store cannot be read, or the cache not written.
    """
    final = cache_dir / release_id
    if final.exists() and _still_right(final, whole=whole):
        return final
    manifest = read_manifest(store, release_id)
    check_listing(store, manifest)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _sweep(cache_dir)
        with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=cache_dir) as scratch:
            partial = Path(scratch) / release_id
            for entry in filter(None if whole else answers, manifest.files):
                target = partial / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                store.download(release_prefix(release_id) + entry.path, target)
            (partial / MANIFEST_FILE).write_bytes(manifest.to_bytes())
            verify_directory(partial, release_id, whole=whole)
            _put_in_place(partial, final, whole=whole)
    except NotFoundError as error:
        raise ReleaseError(
            f"{store.describe(release_prefix(release_id))}: a sealed file is missing ({error}); "
            "roll back to another release"
        ) from error
    except OSError as error:
        raise StorageError(
            f"cache {cache_dir}: {error.strerror or error}; check that it is writable and has free space"
        ) from error
    return final


def _put_in_place(partial: Path, final: Path, *, whole: bool) -> None:
    """Rename a verified folder to its place, one process at a time.

    A folder cannot be renamed over one that holds files. What stands there is either right, put there
    by somebody faster, and stays, or spoilt or less than whole, and is moved away first.
    """
    with (final.parent / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if final.exists():
            if _still_right(final, whole=whole):
                return
            final.rename(partial.with_name("spoilt"))
        partial.rename(final)


def local_copy(
    store: ObjectStore, release_id: str, cache_dir: Path | None = None, *, whole: bool = True
) -> Path:
    """A verified folder of a release: the store's own where it is a directory, else fetched.

    ``whole`` as in :func:`fetch`.

    Raises:
        NotFoundError, ReleaseError, StorageError: as :func:`fetch`.
    """
    in_place = store.local_path(release_prefix(release_id).rstrip("/"))
    if in_place is None:
        return fetch(store, release_id, cache_dir or DEFAULT_CACHE.expanduser(), whole=whole)
    read_manifest(store, release_id)
    verify_directory(in_place, release_id)
    return in_place


def list_releases(store: ObjectStore) -> list[str]:
    """The ids of all sealed releases, oldest first."""
    return sorted(release for release, (sealed, _) in _by_release(store).items() if sealed)


def list_unsealed(store: ObjectStore) -> list[Unsealed]:
    """What publishers left that were killed, or are still at work, oldest id first."""
    return [u for _, (sealed, u) in sorted(_by_release(store).items()) if not sealed]


def prune_unsealed(
    store: ObjectStore, older_than: timedelta = timedelta(days=1), clock: Clock | None = None
) -> list[Unsealed]:
    """Delete unsealed leftovers whose last write is older than ``older_than``; returns what went.

    ``older_than`` must exceed the longest upload of one file, so that no publisher at work is robbed.
    """
    now = (clock or SystemClock()).now()
    removed = []
    for leftover in list_unsealed(store):
        if now - leftover.updated < older_than or store.exists(manifest_key(leftover.release_id)):
            continue
        for key in store.list(release_prefix(leftover.release_id)):
            store.delete(key)
        removed.append(leftover)
    return removed


def _by_release(store: ObjectStore) -> dict[str, tuple[bool, Unsealed]]:
    found: dict[str, tuple[bool, Unsealed]] = {}
    for entry in store.entries(RELEASES):
        release_id, _, path = entry.key.removeprefix(RELEASES).partition("/")
        if not path:
            continue
        sealed, so_far = found.get(release_id, (False, Unsealed(release_id, 0, 0, entry.updated)))
        found[release_id] = (
            sealed or (path == MANIFEST_FILE and RELEASE_ID.fullmatch(release_id) is not None),
            Unsealed(
                release_id,
                so_far.files + 1,
                so_far.bytes + entry.size,
                max(so_far.updated, entry.updated),
            ),
        )
    return found


def _still_right(path: Path, *, whole: bool) -> bool:
    try:
        verify_directory(path, path.name, whole=whole)
    except (ReleaseError, FileNotFoundError):
        return False
    return True


def _sweep(cache_dir: Path) -> None:
    for leftover in cache_dir.glob(f"{_PARTIAL}*"):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
