"""Objects as files in a directory.

A new object is written to a temporary file on the same file system, flushed, and then linked into
place, which fails if the name is taken. A swap happens under an exclusive ``flock`` on a file of the
key's own whose *length* is the generation: it grows by one byte before the data is replaced and never
shrinks, so a kill between the two costs a generation and nothing else, and a generation never returns,
not even after a delete. Readers of a generation hold the lock shared.
"""

import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from slate.errors import ConflictError, NotFoundError, StorageError
from slate.storage.base import RESERVED, Entry, ObjectStore, Versioned, check_key

_STALE_SECONDS: Final = 24 * 3600


class LocalStore(ObjectStore):
    """A store in the directory ``root``, which the first write creates.

    The file system must have hard links and ``flock`` (any local one has).
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.uri = str(self.root)
        self._temporary = self.root / RESERVED / "tmp"
        self._generations = self.root / RESERVED / "generations"
        self._swept = False

    def read(self, key: str) -> bytes:
        with self._errors(key):
            return self._path(key).read_bytes()

    def read_versioned(self, key: str) -> Versioned:
        path = self._path(key)
        with self._errors(key), self._shared(key) as generation:
            return Versioned(path.read_bytes(), generation)

    def write_new(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._errors(key), self._written(data) as temporary:
            self._link(temporary, path, key)

    def compare_and_swap(self, key: str, data: bytes, expected_generation: int | None) -> int:
        path = self._path(key)
        with self._errors(key), self._written(data) as temporary, self._exclusive(key) as lock:
            if expected_generation is None:
                self._link(temporary, path, key)
                return _generation(lock)
            found = _generation(lock) if path.exists() else None
            if found != expected_generation:
                held = "does not exist" if found is None else f"has generation {found}"
                raise ConflictError(
                    f"{self.describe(key)}: expected generation {expected_generation}, but it {held}; "
                    "somebody else moved it: read it again and retry"
                )
            generation = _advance(lock)
            temporary.replace(path)
            _sync_directory(path.parent)
            return generation

    def upload_file(self, key: str, path: Path) -> None:
        target = self._path(key)
        with self._errors(key), path.open("rb") as source, self._temporary_file() as temporary:
            with temporary.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
                _flush(sink)
            self._link(temporary, target, key)

    def download(self, key: str, path: Path) -> None:
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with self._errors(key):
                shutil.copyfile(self._path(key), partial)
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def entries(self, prefix: str = "") -> list[Entry]:
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_key(folder)
        with self._errors(prefix or "."):
            return sorted(e for e in self._walk(self.root / folder) if e.key.startswith(prefix))

    def _walk(self, folder: Path) -> Iterator[Entry]:
        try:
            children = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for child in children:
            path = Path(child.path)
            if path == self.root / RESERVED:
                continue
            if child.is_dir(follow_symlinks=False):
                yield from self._walk(path)
                continue
            try:
                status = child.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # Deleted since the directory was read.
            updated = datetime.fromtimestamp(status.st_mtime, UTC)
            yield Entry(path.relative_to(self.root).as_posix(), status.st_size, updated)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        path = self._path(key)
        if not path.exists():
            return
        with self._errors(key), self._exclusive(key) as lock:
            _advance(lock)
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.root:
                    break
                with suppress(OSError):  # Not empty, or somebody else removed it.
                    folder.rmdir()

    def size(self, key: str) -> int:
        with self._errors(key):
            return self._path(key).stat().st_size

    def local_path(self, key: str) -> Path | None:
        return self._path(key)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self.root / key

    def _link(self, temporary: Path, path: Path, key: str) -> None:
        for attempt in range(10):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise StorageError(
                    f"{self.describe(key)}: a part of the key before its last '/' is an object already; "
                    "a directory cannot hold both, choose another key"
                ) from error
            try:
                os.link(temporary, path)
            except FileExistsError as error:
                raise ConflictError(
                    f"{self.describe(key)}: already exists; read it, or write under another key"
                ) from error
            except FileNotFoundError:
                if attempt == 9:
                    raise
                continue  # A delete removed the empty folder in between.
            break
        _sync_directory(path.parent)

    @contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        with self._temporary_file() as path:
            with path.open("wb") as file:
                file.write(data)
                _flush(file)
            yield path

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._sweep()
        path = self._temporary / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what killed writers left, once an instance and only after a day."""
        if self._swept:
            return
        self._swept = True
        for leftover in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                    leftover.unlink()

    def _lock_path(self, key: str) -> Path:
        return self._generations / hashlib.sha256(key.encode()).hexdigest()

    @contextmanager
    def _exclusive(self, key: str) -> Iterator[int]:
        self._generations.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock_path(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _shared(self, key: str) -> Iterator[int]:
        try:
            descriptor = os.open(self._lock_path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield 1  # Never swapped nor deleted: the first generation.
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield _generation(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        where = f"{self.uri}/{key}"
        try:
            yield
        except FileNotFoundError as error:
            if error.filename is not None and not str(error.filename).startswith(self.uri):
                raise StorageError(
                    f"{where}: {error.filename} does not exist; nothing was written"
                ) from error
            raise NotFoundError(f"{where}: does not exist; check the store and the name") from error
        except (IsADirectoryError, NotADirectoryError) as error:
            raise NotFoundError(f"{where}: is no object; check the store and the name") from error
        except OSError as error:
            raise StorageError(
                f"{where}: {error.strerror or error}; check that the directory is writable and has free space"
            ) from error


def _generation(lock: int) -> int:
    return os.fstat(lock).st_size + 1


def _advance(lock: int) -> int:
    os.ftruncate(lock, os.fstat(lock).st_size + 1)
    os.fsync(lock)
    return _generation(lock)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
