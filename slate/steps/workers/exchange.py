"""The place in an object store where a training job finds its work and leaves its result."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from slate.errors import DataError
from slate.storage import open_store

SPLITS: Final = "splits"
TWO_TOWER: Final = "two_tower"
_WORK: Final = "work.json"
_DONE: Final = "done.json"


class Exchange:
    """Folders and two marks at an address: ``work.json`` is written after all that the workers need,
    ``done.json`` after all that they made.

    Every method raises:
        ConfigError: an address of an unknown kind.
        StorageError: the store cannot be reached, read or written.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._store = open_store(address)

    def put(self, name: str, folder: Path) -> None:
        """Copy a folder there, in the place of what has its name."""
        self._remove(f"{name}/")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self._store.upload_file(f"{name}/{path.relative_to(folder).as_posix()}", path)

    def fetch(self, name: str, folder: Path) -> Path:
        """Copy a folder from there into ``folder``, and return its path."""
        for key in self._store.list(f"{name}/"):
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            self._store.download(key, path)
        return folder / name

    def ask(self, work: Mapping[str, Any]) -> None:
        """Say what is to be done; everything else must be there."""
        self._replace(_WORK, work)

    def asked(self) -> dict[str, Any]:
        """What is to be done.

        Raises:
            DataError: nothing is asked for.
        """
        work: dict[str, Any] | None = self._read(_WORK)
        if work is None:
            raise DataError(
                f"{self.address}: there is no {_WORK}; name the address that the launcher of the job prints"
            )
        return work

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Say that it is done; the result must be there."""
        self._replace(_DONE, metrics)

    def finished(self) -> dict[str, float] | None:
        """The metrics of what was done; None before."""
        metrics: dict[str, float] | None = self._read(_DONE)
        return metrics

    def clear(self) -> None:
        """Remove everything."""
        self._remove("")

    def _read(self, key: str) -> Any:
        return json.loads(self._store.read(key)) if self._store.exists(key) else None

    def _replace(self, key: str, value: Mapping[str, Any]) -> None:
        self._store.delete(key)
        self._store.write_new(key, json.dumps(value).encode())

    def _remove(self, prefix: str) -> None:
        for key in self._store.list(prefix):
            self._store.delete(key)
