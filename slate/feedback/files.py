"""Files of the log in the object store: one name a claim and day, so that writing again replaces."""

from contextlib import suppress
from datetime import date
from typing import Final

from slate.errors import ConflictError, NotFoundError, StorageError
from slate.feedback.batches import SCHEMAS, Batch
from slate.feedback.queue import Claim
from slate.feedback.tables import parquet
from slate.storage import ObjectStore

_ATTEMPTS: Final = 5


def file_key(folder: str, day: date, label: str, claim: Claim) -> str:
    """Where the rows of a claim lie.

    >>> file_key("events", date(2026, 11, 21), "000", Claim(1, 5000))
    'events/date=2026-11-21/000-000000000001-000000005000.parquet'
    """
    return f"{folder}/date={day.isoformat()}/{label}-{claim.first:012d}-{claim.last:012d}.parquet"


def write_batch(store: ObjectStore, batch: Batch, folders: tuple[str, ...], label: str, claim: Claim) -> int:
    """Write the rows of a claim, and remove what an earlier attempt had where there are none now.

    Args:
        folders: those that a claim of this kind can have rows in.
        label: tells the files of one stream from those of others in the same folder.

    Returns:
        the number of files.

    Raises:
        StorageError: not all is written; doing it again repairs that.
    """
    written = 0
    for day in sorted(batch.days):
        for folder in folders:
            key, rows = file_key(folder, day, label, claim), batch.rows.get((folder, day))
            if rows:
                replace(store, key, parquet(SCHEMAS[folder], rows))
                written += 1
            elif store.exists(key):
                store.delete(key)
    return written


def replace(store: ObjectStore, key: str, data: bytes) -> None:
    """Make the object hold the data, whatever it held.

    Raises:
        StorageError: the store fails, or others keep writing the object.
    """
    for _ in range(_ATTEMPTS):
        try:
            store.write_new(key, data)
        except ConflictError:
            with suppress(ConflictError, NotFoundError):
                found = store.read_versioned(key)
                if found.data != data:
                    store.compare_and_swap(key, data, found.generation)
                return
            continue
        return
    raise StorageError(f"{store.describe(key)}: others keep writing it; see how many consumers share a name")
