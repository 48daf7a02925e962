"""A **splits** folder as two-tower training reads it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slate import columns
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace
from slate.data.sequences import UserLog
from slate.errors import DataError
from slate.retrieval.query import Query
from slate.retrieval.validation import RankedTargets

Part = Literal["train", "valid", "test"]

_FILES: Mapping[Part, str] = {
    "train": columns.TRAIN_FILE,
    "valid": columns.VALID_FILE,
    "test": columns.TEST_FILE,
}
_ASKED = "asked"


@dataclass(frozen=True)
class TrainingData:
    """The tables of a splits folder, read when asked for."""

    folder: Path
    features: FeatureSpace
    catalogue: Catalogue
    fingerprint: str

    @classmethod
    def open(cls, folder: str | Path) -> "TrainingData":
        """Read everything but the interactions.

        Raises:
            DataError: the folder lacks a file.
        """
        folder = Path(folder)
        needed = (columns.FEATURES_FILE, columns.SPLIT_FILE, columns.ITEMS_FILE, columns.USERS_FILE)
        for name in (*needed, *_FILES.values()):
            if not (folder / name).is_file():
                raise DataError(f"splits {folder}: {name} is missing; run the split step into this folder")
        features = FeatureSpace.from_json((folder / columns.FEATURES_FILE).read_text(encoding="utf-8"))
        split = json.loads((folder / columns.SPLIT_FILE).read_text(encoding="utf-8"))
        return cls(folder, features, Catalogue.open(folder), str(split["fingerprint"]))

    @cached_property
    def users(self) -> Mapping[str, Mapping[str, object]]:
        """Raw user features by user id."""
        rows = pq.read_table(self.folder / columns.USERS_FILE).to_pylist()
        return {str(row[columns.USER]): row for row in rows}

    def table(self, part: Part) -> pa.Table:
        """One part's interactions."""
        return pq.read_table(self.folder / _FILES[part])

    @cached_property
    def train(self) -> UserLog:
        """The training slice."""
        return UserLog.from_table(self.table("train"), self.catalogue.ids, self.features.events)

    def targets(self, part: Part, events: Sequence[str], limit: int, seed: int) -> RankedTargets:
        """Targets of ``part``, at most ``limit``, each with its user's history from all earlier parts."""
        parts: tuple[Part, ...] = ("train", "valid", "test")
        tables = [self.table(name) for name in parts[: parts.index(part) + 1]]
        log = _log(tables, self.catalogue, self.features)
        codes = [self.features.event_code(event) for event in events]
        asked = np.flatnonzero(np.isin(log.events, codes) & _is_last(log))
        return RankedTargets.sample(log, asked.astype(np.int64), self.users, limit, seed)

    def parity_queries(self, events: Sequence[str], limit: int, seed: int) -> tuple[Query, ...]:
        """Real queries to compare models on: validation's, then the last states of training's users."""
        queries = self.targets("valid", events, limit, seed).queries
        if len(queries) >= limit:
            return queries
        log = self.train
        users = range(min(len(log.users), limit - len(queries)))
        end = int(log.times.max(initial=0)) + 1
        return queries + tuple(
            Query(log.history(user), end, self.users.get(log.users.ids[user], {})) for user in users
        )


def _log(tables: Sequence[pa.Table], catalogue: Catalogue, features: FeatureSpace) -> UserLog:
    """One log of all tables, whose rows of the last one are marked in its context."""
    marked = [
        table.append_column(_ASKED, pa.array(np.full(table.num_rows, number == len(tables) - 1)))
        for number, table in enumerate(tables)
    ]
    together = pa.concat_tables(marked, promote_options="default")
    return UserLog.from_table(together, catalogue.ids, features.events)


def _is_last(log: UserLog) -> npt.NDArray[np.bool_]:
    return np.asarray(log.context[_ASKED], dtype=np.bool_)
