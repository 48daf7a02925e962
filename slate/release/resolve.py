"""From what a person names to one verified release."""

from pathlib import Path
from typing import Final, NamedTuple

from slate.columns import MANIFEST_FILE
from slate.errors import NotFoundError, ReleaseError
from slate.release.channels import CHANNELS, STABLE, read_channel
from slate.release.layout import RELEASES
from slate.release.manifest import RELEASE_ID, Manifest, parse_manifest
from slate.release.publish import list_releases, local_copy
from slate.release.verify import read_manifest, verify_directory
from slate.storage import ObjectStore, open_store

_FORMS: Final = (
    "a channel (stable, candidate, shadow), a release id or the beginning of one, a release folder, "
    "or a store (a directory or gs://bucket/prefix)"
)


class Resolved(NamedTuple):
    """One release: in a store, or (``store`` None) the folder ``directory``."""

    release_id: str
    store: ObjectStore | None
    directory: Path | None
    channel: str | None


class OpenRelease(NamedTuple):
    """A verified folder and its manifest."""

    path: Path
    manifest: Manifest
    channel: str | None


def resolve(reference: str, store: ObjectStore | None = None) -> Resolved:
    """Find the release that a reference means; nothing is verified but the manifest's own soundness.

    In this order: a channel of ``store``; a ``gs://`` address of a store (meaning its ``stable``) or of
    a release in it; a full release id in ``store``; a folder, sealed or a store; a unique beginning of a
    release id in ``store``.

    Raises:
        NotFoundError: nothing fits, the channel is empty, or there is no such release.
        ReleaseError: the beginning fits several releases, or the manifest is unsound.
    """
    if reference in CHANNELS:
        return _channel(_needed(store, reference), reference)
    if reference.startswith("gs://"):
        return _address(reference.rstrip("/"))
    if RELEASE_ID.fullmatch(reference):
        owner = _needed(store, reference)
        return Resolved(read_manifest(owner, reference).release_id, owner, None, None)
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return _folder(folder)
    if store is None or not reference or "/" in reference:
        raise NotFoundError(f"release {reference!r}: not found; name {_FORMS}")
    return _prefix(reference, store)


def open_verified(
    reference: str, store: ObjectStore | None = None, cache_dir: Path | None = None
) -> OpenRelease:
    """Resolve a reference and verify every file; a remote release is fetched into the cache.

    Raises:
        NotFoundError, ReleaseError, StorageError: as :func:`resolve` and
            :func:`slate.release.publish.fetch`.
    """
    found = resolve(reference, store)
    if found.store is None:
        path = found.directory or Path(reference)
        return OpenRelease(path, verify_directory(path, found.release_id), None)
    path = local_copy(found.store, found.release_id, cache_dir)
    manifest = parse_manifest((path / MANIFEST_FILE).read_bytes(), str(path))
    return OpenRelease(path, manifest, found.channel)


def _needed(store: ObjectStore | None, reference: str) -> ObjectStore:
    if store is None:
        raise NotFoundError(f"release {reference!r}: no store is given to look in; name one with --store")
    return store


def _channel(store: ObjectStore, name: str) -> Resolved:
    channel = read_channel(store, name)
    if channel is None:
        raise NotFoundError(
            f"channel {name}: is empty in {store.uri}; run 'slate run', or "
            f"'slate releases promote ID --channel {name}'"
        )
    return Resolved(channel.release_id, store, None, name)


def _address(address: str) -> Resolved:
    place, _, last = address.rpartition("/")
    if RELEASE_ID.fullmatch(last) and place.endswith("/" + RELEASES.rstrip("/")):
        owner = open_store(place.removesuffix("/" + RELEASES.rstrip("/")))
        return Resolved(read_manifest(owner, last).release_id, owner, None, None)
    return _channel(open_store(address), STABLE)


def _folder(folder: Path) -> Resolved:
    manifest = folder / MANIFEST_FILE
    if manifest.is_file():
        found = parse_manifest(manifest.read_bytes(), str(folder))
        return Resolved(found.release_id, None, folder, None)
    if not any((folder / name).is_dir() for name in ("releases", "channels")):
        raise NotFoundError(
            f"{folder}: is neither a sealed release (no {MANIFEST_FILE}) nor a store; name {_FORMS}"
        )
    return _channel(open_store(folder), STABLE)


def _prefix(beginning: str, store: ObjectStore) -> Resolved:
    fits = [r for r in list_releases(store) if r.startswith(beginning)]
    if len(fits) == 1:
        return Resolved(read_manifest(store, fits[0]).release_id, store, None, None)
    if not fits:
        raise NotFoundError(
            f"release {beginning!r}: nothing in {store.uri} begins so, and there is no such folder; "
            f"name {_FORMS}"
        )
    raise ReleaseError(
        f"release {beginning!r}: fits {len(fits)} releases ({', '.join(fits[:5])}); write more of it"
    )
