"""A release as a folder: which files it holds, and what it may not hold."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from slate.columns import MANIFEST_FILE
from slate.errors import ReleaseError
from slate.release.manifest import collision, path_problem


def files_of(directory: Path) -> list[str]:
    """The paths of all files but the manifest, sorted, relative, with ``/``.

    Raises:
        ReleaseError: ``directory`` is no folder, or holds a link, a hidden or empty folder, a hidden
            file, anything that is no regular file, or two names that differ only in case.
    """
    if directory.is_symlink() or not directory.is_dir():
        raise ReleaseError(f"{directory}: is no folder (or a link to one); name the release folder itself")
    paths = sorted(_walk(directory, directory))
    clash = collision(paths)
    if clash:
        raise ReleaseError(
            f"{directory}: {clash[0]!r} and {clash[1]!r} differ only in case; "
            "a release must also open where case does not matter: remove or rename one"
        )
    return paths


def hash_file(path: Path) -> str:
    """The sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(root: Path, folder: Path) -> Iterator[str]:
    with os.scandir(folder) as scan:
        children = list(scan)
    for child in children:
        path = Path(child.path).relative_to(root).as_posix()
        mode = child.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise ReleaseError(
                f"{root}: {path!r} is a link; a release holds its own files: remove or copy it"
            )
        if path == MANIFEST_FILE and stat.S_ISREG(mode):
            continue
        problem = path_problem(path)
        if problem:
            raise ReleaseError(f"{root}: {path!r} {problem}; remove or rename it")
        if stat.S_ISDIR(mode):
            yield from _walk(root, Path(child.path))
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise ReleaseError(f"{root}: {path!r} is neither a file nor a folder; remove it")
    if not children and folder != root:
        raise ReleaseError(f"{root}: folder {folder.relative_to(root).as_posix()!r} is empty; remove it")
