"""Sealing: hash every file of a folder, then write its manifest, last and at once."""

import os
from pathlib import Path
from typing import Final

from slate.clock import Clock, SystemClock
from slate.columns import MANIFEST_FILE
from slate.errors import ReleaseError
from slate.release.folder import files_of, hash_file
from slate.release.manifest import FileEntry, Manifest, ManifestFields

_PARTIAL: Final = f".{MANIFEST_FILE}.partial"


def seal(directory: Path, fields: ManifestFields, clock: Clock | None = None) -> Manifest:
    """Turn a folder into a release. Nothing in it may change afterwards.

    A kill leaves the folder unsealed; sealing it again works.

    Args:
        directory: the folder, with every file of the release but the manifest.
        clock: what ``created_at`` and the id's first part come from.

    Raises:
        ReleaseError: the folder is sealed already, is empty, or holds a link, a hidden file, an empty
            folder, anything that is no regular file, or two names that differ only in case; or a field
            has a value that JSON cannot hold.
    """
    partial = directory / _PARTIAL
    partial.unlink(missing_ok=True)
    target = directory / MANIFEST_FILE
    if target.exists() or target.is_symlink():
        raise ReleaseError(f"{directory}: is sealed already; releases never change, assemble a new folder")
    paths = files_of(directory)
    if not paths:
        raise ReleaseError(f"{directory}: holds no files; assemble the release before sealing it")
    entries = [
        FileEntry(path=path, size=(directory / path).stat().st_size, sha256=hash_file(directory / path))
        for path in sorted(paths)
    ]
    manifest = Manifest.build(fields, entries, (clock or SystemClock()).now())
    data = manifest.to_bytes()
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return manifest
