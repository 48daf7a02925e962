"""A **splits** folder as two-tower training reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from slate import columns
from slate.data.features import FeatureSpace
from slate.data.holdout import Part, Split
from slate.data.sequences import UserLog
from slate.errors import DataError
from slate.retrieval.query import Query
from slate.retrieval.validation import RankedTargets

#: No column of a file is called so.
_ASKED = "\0asked"


@dataclass(frozen=True)
class TrainingData:
    """A split, and the queries that validation and parity ask of it."""

    split: Split

    @classmethod
    def open(cls, folder: str | Path) -> "TrainingData":
        """Open a splits folder.

        Raises:
            DataError: the folder lacks a file.
        """
        folder = Path(folder)
        needed = (
            columns.FEATURES_FILE,
            columns.SPLIT_FILE,
            columns.ITEMS_FILE,
            columns.USERS_FILE,
            columns.TRAIN_FILE,
            columns.VALID_FILE,
            columns.TEST_FILE,
        )
        for name in needed:
            if not (folder / name).is_file():
                raise DataError(f"splits {folder}: {name} is missing; run the split step into this folder")
        return cls(Split.open(folder))

    @property
    def features(self) -> FeatureSpace:
        return self.split.features

    def targets(self, part: Part, events: Sequence[str], limit: int, seed: int) -> RankedTargets:
        """Targets of ``part``, at most ``limit``, from histories as the protocol says."""
        past = [self.split.part(name) for name in _before(part)]
        if self.split.protocol == "temporal":
            past += self.split.unseen()
        asked = self.split.part(part)
        log = UserLog.from_table(
            pa.concat_tables([_marked(asked, True), *(_marked(table, False) for table in past)]),
            self.split.catalogue.ids,
            self.features.events,
        )
        codes = [self.features.event_code(event) for event in events]
        wanted = np.isin(log.events, codes) & np.asarray(log.context[_ASKED], dtype=np.bool_)
        return RankedTargets.sample(
            log,
            np.flatnonzero(wanted).astype(np.int64),
            self.split.user_features,
            limit,
            seed,
            successive=self.split.protocol == "temporal",
        )

    def parity_queries(self, events: Sequence[str], limit: int, seed: int) -> tuple[Query, ...]:
        """Real queries to compare models on: validation's, then the last states of training's users."""
        queries = self.targets("valid", events, limit, seed).queries
        if len(queries) >= limit:
            return queries
        log, users = self.split.train_log(), self.split.user_features
        end = int(log.times.max(initial=0)) + 1
        return queries + tuple(
            Query(log.history(user), end, users.get(log.users.ids[user], {}))
            for user in range(min(len(log.users), limit - len(queries)))
        )


def _before(part: Part) -> tuple[Part, ...]:
    parts: tuple[Part, ...] = ("train", "valid", "test")
    return parts[: parts.index(part)]


def _marked(table: pa.Table, asked: bool) -> pa.Table:
    return table.append_column(_ASKED, pa.array(np.full(table.num_rows, asked)))
