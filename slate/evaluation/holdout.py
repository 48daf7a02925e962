"""The frozen holdout of a release, and any recommender asked the questions in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.data.sequences import History, UserLog
from slate.errors import DataError
from slate.recommend.recommender import Ask, Recommender
from slate.retrieval.query import Query

HISTORY_FILE: Final = "history.parquet"


@dataclass(frozen=True)
class Holdout:
    """Test interactions, what their users did, and user features.

    ``history`` holds, for the temporal protocol, all interactions of these users up to the watermark:
    each target is predicted from those strictly before its instant. For leave-last-out it holds all but
    the test interactions, and a target is predicted from all of its user's. ``split`` is the content of
    ``split.json``: protocol, train_end, valid_end and watermark.
    """

    test: pa.Table
    history: pa.Table
    users: pa.Table
    split: Mapping[str, Any]

    @classmethod
    def open(cls, directory: Path) -> "Holdout":
        """Read a holdout folder.

        Raises:
            DataError: a file of it is missing.
        """
        for name in (columns.TEST_FILE, HISTORY_FILE, columns.USERS_FILE, columns.SPLIT_FILE):
            if not (directory / name).is_file():
                raise DataError(
                    f"holdout {directory}: {name} is missing; the release ships no holdout, "
                    "measure it on newer data with --config"
                )
        return cls(
            pq.read_table(directory / columns.TEST_FILE),
            pq.read_table(directory / HISTORY_FILE),
            pq.read_table(directory / columns.USERS_FILE),
            json.loads((directory / columns.SPLIT_FILE).read_text(encoding="utf-8")),
        )

    @cached_property
    def features(self) -> Mapping[str, Mapping[str, object]]:
        """Raw features by user id."""
        return {record.pop(columns.USER): record for record in self.users.to_pylist()}

    @property
    def successive(self) -> bool:
        """Whether histories end just before each target, rather than with the training data."""
        return bool(self.split["protocol"] == "temporal")

    def targets(self, events: Sequence[str]) -> pa.Table:
        """The test interactions whose event is one of ``events``, by user, time and item."""
        wanted = self.test.filter(pc.is_in(self.test[columns.EVENT], pa.array(list(events), pa.string())))
        return wanted.sort_by([(c, "ascending") for c in (columns.USER, columns.TIMESTAMP, columns.ITEM)])


def histories(holdout: Holdout, log: UserLog, targets: pa.Table) -> list[History]:
    """What each target is predicted from, in the item rows of ``log``."""
    instants = targets[columns.TIMESTAMP].cast(pa.int64()).to_pylist()
    return [
        log.history_of(user, before=instant if holdout.successive else None)
        for user, instant in zip(targets[columns.USER].to_pylist(), instants, strict=True)
    ]


def asks_for(recommender: Recommender, holdout: Holdout, targets: pa.Table) -> list[Ask]:
    """One ask a target: what that recommender would have been asked just before it happened.

    Histories are in the recommender's own rows; items and events it does not know are left out, as they
    would be in a live request. Seen items are those of that history and nothing later.
    """
    log = UserLog.from_table(
        _known_events(holdout.history, recommender.features.events),
        recommender.catalogue.ids,
        recommender.features.events,
    )
    context_names = [n for n in targets.column_names if n not in columns.INTERACTION_COLUMNS]
    contexts = targets.select(context_names).to_pylist() if context_names else [{}] * targets.num_rows
    instants = targets[columns.TIMESTAMP].cast(pa.int64()).to_pylist()
    nothing = np.empty(0, np.int32)
    asks = []
    for user, instant, history, context in zip(
        targets[columns.USER].to_pylist(), instants, histories(holdout, log, targets), contexts, strict=True
    ):
        asks.append(
            Ask(
                query=Query(history, instant, holdout.features.get(user, {}), context),
                seen=np.unique(history.items),
                excluded=nothing,
                ignored=(),
            )
        )
    return asks


def _known_events(table: pa.Table, events: Sequence[str]) -> pa.Table:
    return table.filter(pc.is_in(table[columns.EVENT], pa.array(list(events), pa.string())))
