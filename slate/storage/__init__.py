"""The only object store: a local directory or Google Cloud Storage, behind one interface."""

from pathlib import Path

from slate.errors import ConfigError
from slate.storage.base import Entry, ObjectStore, Versioned
from slate.storage.local import LocalStore

__all__ = ["Entry", "LocalStore", "ObjectStore", "Versioned", "open_store"]


def open_store(uri: str | Path) -> ObjectStore:
    """Open a store by its address: a directory (created by the first write) or ``gs://bucket/prefix``.

    Raises:
        ConfigError: another scheme, or an address without a place.
        StorageError: Google Cloud Storage without credentials.
    """
    text = str(uri)
    if text.startswith("gs://"):
        from slate.storage.gcs import GcsStore

        return GcsStore(text)
    if "://" in text:
        scheme = text.partition("://")[0]
        raise ConfigError(f"store {text!r}: unknown scheme {scheme!r}; use a directory or gs://bucket/prefix")
    if not text:
        raise ConfigError("store '': is empty; name a directory or gs://bucket/prefix")
    return LocalStore(Path(text))
