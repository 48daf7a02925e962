"""Prove that a release is exactly what was sealed, before anything of it is loaded."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path

from slate.columns import MANIFEST_FILE
from slate.errors import NotFoundError, ReleaseError
from slate.release.folder import files_of, hash_file
from slate.release.layout import manifest_key, release_prefix
from slate.release.manifest import RELEASE_ID, TRAINING, FileEntry, Manifest, parse_manifest
from slate.storage import ObjectStore

_RESTORE = "fetch the release again or roll back to another"


def verify_directory(path: Path, release_id: str | None = None, *, whole: bool = True) -> Manifest:
    """Check every file of a release folder against its manifest.

    Args:
        release_id: the release it must be. A folder whose name is a release id must be that release.
        whole: without it, files that only a next training needs may be missing; those there are checked.

    Raises:
        ReleaseError: not sealed; or a file is missing, extra, changed, renamed, linked or hidden; or a
            folder is empty; or the manifest is not valid, canonical and of this id.
    """
    where = str(path)
    names = files_of(path)
    manifest_path = path / MANIFEST_FILE
    if not manifest_path.is_file():
        raise ReleaseError(f"{where}: has no {MANIFEST_FILE}, so it was never sealed; seal it, or {_RESTORE}")
    manifest = parse_manifest(manifest_path.read_bytes(), where)
    _check_id(manifest, release_id, where)
    if RELEASE_ID.fullmatch(path.name):
        _check_id(manifest, path.name, where)
    needed = [entry for entry in manifest.files if whole or answers(entry) or entry.path in names]
    _check_names(needed, set(names), where)
    for entry in needed:
        _check_file(entry, (path / entry.path).stat().st_size, partial(hash_file, path / entry.path), where)
    return manifest


def answers(entry: FileEntry) -> bool:
    """Whether a server needs this file."""
    return not entry.path.startswith(TRAINING)


def verify_in_store(store: ObjectStore, release_id: str) -> Manifest:
    """Check every object of a published release; a remote one is read through, file by file.

    Raises:
        NotFoundError: the store has no such sealed release.
        ReleaseError: as :func:`verify_directory`.
    """
    manifest = read_manifest(store, release_id)
    local = store.local_path(release_prefix(release_id).rstrip("/"))
    if local is not None:
        return verify_directory(local, release_id)
    sizes = check_listing(store, manifest)
    where = store.describe(f"releases/{release_id}")
    with tempfile.TemporaryDirectory(prefix="slate-verify-") as scratch:
        copy = Path(scratch) / "object"

        def digest(entry: FileEntry) -> str:
            store.download(release_prefix(release_id) + entry.path, copy)
            return hash_file(copy)

        for entry in manifest.files:
            _check_file(entry, sizes[entry.path], partial(digest, entry), where)
    return manifest


def check_listing(store: ObjectStore, manifest: Manifest) -> dict[str, int]:
    """Check that the store holds exactly the files of a release, reading none of them.

    Returns:
        path to size in bytes.

    Raises:
        ReleaseError: a file is missing, extra, linked or hidden.
    """
    prefix = release_prefix(manifest.release_id)
    local = store.local_path(prefix.rstrip("/"))
    if local is not None:
        sizes = {name: (local / name).stat().st_size for name in files_of(local)}
    else:
        sizes = {e.key.removeprefix(prefix): e.size for e in store.entries(prefix)}
        sizes.pop(MANIFEST_FILE, None)
    _check_names(manifest.files, set(sizes), store.describe(prefix.rstrip("/")))
    return sizes


def read_manifest(store: ObjectStore, release_id: str) -> Manifest:
    """The manifest of a published release, itself checked, its files not.

    Raises:
        NotFoundError: the store has no such sealed release.
        ReleaseError: the manifest is not valid, canonical and of this id.
    """
    if not RELEASE_ID.fullmatch(release_id):
        raise ReleaseError(f"release {release_id!r}: is no release id; 'slate releases list' shows them")
    try:
        data = store.read(manifest_key(release_id))
    except NotFoundError as error:
        raise NotFoundError(
            f"{store.uri}: no sealed release {release_id}; 'slate releases list' shows what there is"
        ) from error
    where = store.describe(f"releases/{release_id}")
    manifest = parse_manifest(data, where)
    _check_id(manifest, release_id, where)
    return manifest


def installed_versions() -> dict[str, str | None]:
    """The versions that ``requires`` speaks of, None where something is not installed; imports nothing."""
    found: dict[str, str | None] = {}
    for name, distribution in (
        ("slate", "slate-recommender"),
        ("litert", "ai-edge-litert"),
        ("scann", "scann"),
    ):
        try:
            found[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[name] = None
    if found["slate"] is None:  # Run from a source tree.
        from slate import __version__

        found["slate"] = __version__
    return found


def check_requires(manifest: Manifest, installed: Mapping[str, str | None] | None = None) -> None:
    """Refuse a release whose models were written by other versions: major and minor must match.

    Args:
        installed: name to version, :func:`installed_versions` by default.

    Raises:
        ReleaseError: naming each library, the version needed and the one found.
    """
    have = installed_versions() if installed is None else installed
    problems = []
    for name, needed in manifest.requires.model_dump().items():
        found = have.get(name)
        if needed is not None and (found is None or _minor(found) != _minor(needed)):
            problems.append(f"{name} {'.'.join(_minor(needed))}.* (found: {found or 'not installed'})")
    if problems:
        raise ReleaseError(
            f"release {manifest.release_id}: needs {', '.join(problems)}; install these, or train again"
        )


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


def _check_id(manifest: Manifest, release_id: str | None, where: str) -> None:
    if release_id is not None and manifest.release_id != release_id:
        raise ReleaseError(
            f"{where}: holds release {manifest.release_id} in place of {release_id}; "
            f"an older or another release was put there: {_RESTORE}"
        )


def _check_names(files: Sequence[FileEntry], names: set[str], where: str) -> None:
    listed = {entry.path for entry in files}
    problems = [f"{name!r} is missing" for name in sorted(listed - names)]
    problems += [f"{name!r} is not in the manifest" for name in sorted(names - listed)]
    if problems:
        raise ReleaseError(f"{where}: {'; '.join(problems[:10])} ({len(problems)} in all); {_RESTORE}")


def _check_file(entry: FileEntry, size: int, digest: Callable[[], str], where: str) -> None:
    if size != entry.size:
        raise ReleaseError(f"{where}: {entry.path!r} has {size} bytes, sealed with {entry.size}; {_RESTORE}")
    found = digest()
    if found != entry.sha256:
        raise ReleaseError(
            f"{where}: {entry.path!r} has sha256 {found[:12]}…, sealed with {entry.sha256[:12]}…; {_RESTORE}"
        )
