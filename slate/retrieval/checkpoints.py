"""Where a training's checkpoints lie: a folder and, where that dies with its machine, an object store."""

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from slate.errors import ConflictError
from slate.storage import ObjectStore, open_store

_KEPT: Final = 2


class Checkpoints:
    """One training's checkpoints in ``folder``; with a ``store`` every one is copied below ``prefix``."""

    def __init__(self, folder: Path, store: ObjectStore | None = None, prefix: str = "") -> None:
        self.folder = folder
        self._store, self._prefix = store, prefix

    @classmethod
    def of(cls, place: str | Path, key: str) -> "Checkpoints":
        """Those of the training ``key`` at ``place``: a folder, or an address such as ``gs://bucket/prefix``.

        Raises:
            ConfigError: an address of another kind.
            StorageError: the store has no credentials.
        """
        if "://" not in str(place):
            return cls(Path(place) / key)
        return cls(Path(tempfile.mkdtemp(prefix="slate-checkpoints-")) / key, open_store(place), key)

    def fetch(self) -> None:
        """Bring the newest one from the store, where there is one and the folder has none.

        Raises:
            StorageError: the store cannot be read.
        """
        if self._store is None or self.folder.exists():
            return
        if keys := self._store.list(f"{self._prefix}/"):
            self.folder.mkdir(parents=True)
            packed = self.folder / "packed.tar"
            self._store.download(keys[-1], packed)
            with tarfile.open(packed) as archive:
                archive.extractall(self.folder, filter="data")
            packed.unlink()

    def publish(self, number: int) -> None:
        """Copy what is in the folder to the store, as its checkpoint ``number``; older ones go.

        Raises:
            StorageError: the store cannot be written.
        """
        if self._store is None:
            return
        key = f"{self._prefix}/{number:06d}.tar"
        with tempfile.TemporaryDirectory() as scratch:
            packed = Path(scratch) / "packed.tar"
            with tarfile.open(packed, "w") as archive:
                for path in sorted(self.folder.iterdir()):
                    archive.add(path, path.name)
            try:
                self._store.upload_file(key, packed)
            except ConflictError:  # of a training that was killed right after it
                self._store.delete(key)
                self._store.upload_file(key, packed)
        for old in self._store.list(f"{self._prefix}/")[:-_KEPT]:
            self._store.delete(old)

    def discard(self) -> None:
        """Remove them, once their results are safe."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._store is not None:
            for key in self._store.list(f"{self._prefix}/"):
                self._store.delete(key)
