"""The files of the log for one who looks often: each is read once, as long as it stays the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from slate.feedback.days import files_by_day, read_file
from slate.storage.base import Entry, ObjectStore

Keep = Callable[[pa.Table], pa.Table]


@dataclass
class _Folder:
    """What is kept of a folder's files for one purpose, by key."""

    purpose: str
    files: dict[str, tuple[Entry, pa.Table]] = field(default_factory=dict)


@dataclass
class KeptDays:
    """Rows of the log in memory: those that were asked for, so a look reads what came since the last one."""

    store: ObjectStore
    _folders: dict[str, _Folder] = field(default_factory=dict)

    def read(
        self, folder: str, schema: pa.Schema, first: date, last: date, purpose: str, keep: Keep
    ) -> pa.Table:
        """The columns of ``schema`` in all files of these days, both inclusively: rows that ``keep`` keeps.

        Args:
            purpose: names what ``keep`` does and the columns: another one reads the folder anew.

        Raises:
            DataError: a file is not as the consumer writes it.
            StorageError: the store cannot be read.
        """
        kept = self._folders.get(folder)
        if kept is None or kept.purpose != purpose:
            kept = self._folders[folder] = _Folder(purpose)
        files: dict[str, tuple[Entry, pa.Table]] = {}
        for entry in files_by_day(self.store, folder, first, last):
            known = kept.files.get(entry.key)
            if known is None or known[0] != entry:
                known = (entry, keep(read_file(self.store, entry.key, schema)))
            # Also where a later file cannot be read: what was read already is not read again.
            files[entry.key] = kept.files[entry.key] = known
        kept.files = files
        return pa.concat_tables([schema.empty_table(), *(table for _, table in files.values())])
