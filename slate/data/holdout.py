"""Typed access to a splits folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace
from slate.data.sequences import UserLog
from slate.errors import DataError

Part = Literal["train", "valid", "test"]
_FILES = {"train": columns.TRAIN_FILE, "valid": columns.VALID_FILE, "test": columns.TEST_FILE}


@dataclass(frozen=True)
class Split:
    """A splits folder: parts, catalogue, users, fitted features, and when it was cut."""

    directory: Path
    record: dict[str, Any]

    @classmethod
    def open(cls, directory: str | Path) -> "Split":
        """Open a folder that the split step wrote.

        Raises:
            DataError: it holds no split.json.
        """
        path = Path(directory) / columns.SPLIT_FILE
        try:
            return cls(Path(directory), json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise DataError(
                f"splits {directory}: no {columns.SPLIT_FILE} there; run the split step first"
            ) from error

    @property
    def protocol(self) -> str:
        return str(self.record["protocol"])

    @property
    def fingerprint(self) -> str:
        return str(self.record["fingerprint"])

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.open(self.directory)

    @cached_property
    def features(self) -> FeatureSpace:
        return FeatureSpace.from_json((self.directory / columns.FEATURES_FILE).read_text(encoding="utf-8"))

    @cached_property
    def users(self) -> pa.Table:
        """User ids and raw features."""
        return pq.read_table(self.directory / columns.USERS_FILE)

    @cached_property
    def user_features(self) -> dict[str, dict[str, object]]:
        """Raw features by user id."""
        return {record.pop(columns.USER): record for record in self.users.to_pylist()}

    def part(self, name: Part) -> pa.Table:
        """The interactions of one part."""
        return pq.read_table(self.directory / _FILES[name])

    def everything(self) -> pa.Table:
        """All interactions: the three parts, and the rows of users that are never trained on."""
        return pa.concat_tables([self.part("train"), self.part("valid"), self.part("test"), *self.unseen()])

    def unseen(self) -> list[pa.Table]:
        """Training-period rows of users that are never trained on, where there are any."""
        path = self.directory / columns.UNSEEN_FILE
        return [pq.read_table(path)] if path.exists() else []

    def train_log(self) -> UserLog:
        """What may be trained on, as one log a user."""
        return self._log(self.part("train"))

    def user_log(self) -> UserLog:
        """Everything users did up to the watermark: histories are cut from this by time."""
        return self._log(self.everything())

    def targets(self, name: Part, events: Sequence[str]) -> pa.Table:
        """The interactions of a part whose event is one of ``events``, by user, time and item."""
        table = self.part(name)
        wanted = table.filter(pc.is_in(table[columns.EVENT], pa.array(list(events), pa.string())))
        return wanted.sort_by([(c, "ascending") for c in (columns.USER, columns.TIMESTAMP, columns.ITEM)])

    def history_log(self, name: Part) -> UserLog:
        """The log from which histories for predicting a part are cut.

        Temporal: everything, to be cut strictly before each instant. Leave-last-out: what precedes the
        part in every user's order, to be taken whole, since ties in time would lose interactions.
        """
        if self.protocol == "temporal":
            return self.user_log()
        before: dict[Part, list[Part]] = {"train": [], "valid": ["train"], "test": ["train", "valid"]}
        parts = [self.part(p) for p in before[name]] or [self.part("train").slice(0, 0)]
        return self._log(pa.concat_tables(parts))

    def _log(self, table: pa.Table) -> UserLog:
        return UserLog.from_table(table, self.catalogue.ids, self.features.events)
