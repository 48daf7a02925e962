"""What every object store offers: whole objects under string keys, created once or swapped."""

from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from slate.errors import StorageError

#: Google Cloud Storage's own limit, kept everywhere so that a store can be moved.
MAX_KEY_BYTES: Final = 1024
#: The folder in which a local store keeps its locks and unfinished files. No key may name it.
RESERVED: Final = ".store"


class Versioned(NamedTuple):
    """An object's content and the generation it has. Generations of one key never repeat."""

    data: bytes
    generation: int


class Entry(NamedTuple):
    """One listed object: its key, size in bytes and the instant of its last write (UTC)."""

    key: str
    size: int
    updated: datetime


class ObjectStore(ABC):
    """A store of immutable or compare-and-swapped objects.

    Every write is atomic: a reader sees the old object, none, or the whole new one, also when the
    writer is killed. Keys are relative paths with ``/`` between non-empty segments.

    Every method raises:
        NotFoundError: the object does not exist (where the method needs it).
        StorageError: a key is malformed, or the store cannot be reached or written.
    """

    uri: str

    @abstractmethod
    def read(self, key: str) -> bytes:
        """The whole object."""

    @abstractmethod
    def read_versioned(self, key: str) -> Versioned:
        """The whole object and its generation, from one instant."""

    @abstractmethod
    def write_new(self, key: str, data: bytes) -> None:
        """Create an object.

        Raises:
            ConflictError: it exists; nothing was written.
        """

    @abstractmethod
    def compare_and_swap(self, key: str, data: bytes, expected_generation: int | None) -> int:
        """Replace the object if its generation is the expected one (None: if it does not exist).

        Returns:
            the new generation.

        Raises:
            ConflictError: somebody else wrote it; nothing was written.
        """

    @abstractmethod
    def upload_file(self, key: str, path: Path) -> None:
        """Create an object from a file, streaming.

        Raises:
            ConflictError: it exists; nothing was written.
        """

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Write the object to ``path``, which appears whole or not at all; its folder must exist."""

    @abstractmethod
    def entries(self, prefix: str = "") -> list[Entry]:
        """Every object whose key starts with ``prefix`` (any string), sorted by key."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether the object exists."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; removing an absent one is not an error."""

    @abstractmethod
    def size(self, key: str) -> int:
        """The object's size in bytes."""

    def list(self, prefix: str = "") -> list[str]:
        """The keys that start with ``prefix``, sorted."""
        return [entry.key for entry in self.entries(prefix)]

    def local_path(self, key: str) -> Path | None:
        """Where a file system holds the key, so that it can be used in place; None elsewhere."""
        check_key(key)
        return None

    def describe(self, key: str) -> str:
        """The key as a person would look for it."""
        return f"{self.uri.rstrip('/')}/{key}"


def check_key(key: str) -> None:
    """Refuse a key that could leave the store or that some store cannot hold.

    >>> check_key("releases/a/manifest.json")

    Raises:
        StorageError: naming the key and the problem.
    """
    problem = _key_problem(key)
    if problem:
        raise StorageError(
            f"storage key {key!r}: {problem}; use relative segments separated by '/', "
            "such as 'channels/stable.json'"
        )


def _key_problem(key: str) -> str | None:
    segments = key.split("/")
    if not key:
        return "is empty"
    if key.startswith("/"):
        return "is absolute"
    if "" in segments:
        return "has an empty segment"
    if "." in segments or ".." in segments:
        return "has a '.' or '..' segment"
    if segments[0] == RESERVED:
        return f"starts with {RESERVED!r}, which is the store's own"
    if "\\" in key or any(ord(c) < 0x20 or ord(c) == 0x7F for c in key):
        return "has a backslash or a control character"
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if len(encoded) > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES} bytes"
    return None
