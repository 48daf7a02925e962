"""What an evaluation asks: each target with its user, its instant and what the user did before it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate import columns
from slate.data.sequences import History, UserLog
from slate.data.vocabulary import IdMap
from slate.errors import DataError

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Targets:
    """``n`` items to predict, each from its user's history strictly before it.

    ``items`` are rows of the evaluation's item map, ``times`` microseconds since the epoch, ``rows`` the
    position of each target in the table it came from, so that a ranker can find features and context
    that are not here.
    """

    user_ids: tuple[str, ...]
    items: Int32
    times: Int64
    histories: tuple[History, ...]
    rows: Int64

    def __post_init__(self) -> None:
        lengths = {len(self.user_ids), len(self.items), len(self.times), len(self.histories), len(self.rows)}
        if len(lengths) != 1:
            raise DataError(
                f"targets: columns of {sorted(lengths)} rows; every column needs one row a target"
            )

    def __len__(self) -> int:
        return len(self.user_ids)

    @classmethod
    def from_table(
        cls, table: pa.Table, log: UserLog, items: IdMap, *, whole_histories: bool = False
    ) -> "Targets":
        """From a table of interactions to predict and a log of what their users did, in ``items`` rows.

        Histories are cut strictly before each target. ``whole_histories`` takes them as they are, for
        leave-last-out, whose log ends before each user's target and may tie with it in time.

        Raises:
            DataError: the table names an item that ``items`` lacks.
        """
        ids = table[columns.ITEM].to_pylist()
        rows = items.known_rows(ids)
        if len(rows) != len(ids):
            unknown = next(i for i in ids if i not in items)
            raise DataError(
                f"targets: item {unknown!r} is not in the evaluation's item map; "
                "build the map over the items of every release that is compared"
            )
        users = table[columns.USER].to_pylist()
        times = table[columns.TIMESTAMP].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
        histories = tuple(
            log.history_of(user, before=None if whole_histories else int(time))
            for user, time in zip(users, times, strict=True)
        )
        return cls(tuple(users), rows, times, histories, np.arange(len(users), dtype=np.int64))

    def take(self, positions: npt.NDArray[np.integer]) -> "Targets":
        """The targets at these positions, in this order."""
        return Targets(
            tuple(self.user_ids[int(p)] for p in positions),
            self.items[positions],
            self.times[positions],
            tuple(self.histories[int(p)] for p in positions),
            self.rows[positions],
        )

    @cached_property
    def users(self) -> IdMap:
        """The distinct users, sorted."""
        return IdMap.of(sorted(set(self.user_ids)))

    @cached_property
    def user_codes(self) -> Int64:
        """Each target's row in :attr:`users`, int64 [n]."""
        return self.users.known_rows(self.user_ids).astype(np.int64)

    @cached_property
    def history_lengths(self) -> Int64:
        """Interactions known before each target, int64 [n]."""
        return np.fromiter((len(h.items) for h in self.histories), dtype=np.int64, count=len(self))

    @cached_property
    def repeats(self) -> Mask:
        """Targets that are already in their own history, bool [n]."""
        return np.fromiter(
            (bool(np.any(h.items == item)) for h, item in zip(self.histories, self.items, strict=True)),
            dtype=np.bool_,
            count=len(self),
        )


class Selection(NamedTuple):
    """The targets to evaluate, and what was left out of ``found`` targets of ``found_users`` users."""

    targets: Targets
    found: int
    found_users: int
    repeats: int
    unsampled: int


def select(targets: Targets, max_targets: int, seed: int) -> Selection:
    """Leave out repeat targets, then sample whole users down to ``max_targets``.

    A repeat cannot be recommended while seen items are excluded, so it would only measure how often
    users repeat. Users are taken in the order of a seeded hash of their id, which does not depend on
    who else is there, until the next one would not fit; at least one user is always kept.
    """
    fresh = targets.take(np.flatnonzero(~targets.repeats))
    repeats = len(targets) - len(fresh)
    found = (len(targets), len(targets.users), repeats)
    if len(fresh) <= max_targets:
        return Selection(fresh, *found, unsampled=0)
    order = _hash_order(fresh.users.ids, seed)
    sizes = np.bincount(fresh.user_codes, minlength=len(fresh.users))[order]
    taken = max(1, int(np.searchsorted(np.cumsum(sizes), max_targets, side="right")))
    kept = fresh.take(np.flatnonzero(np.isin(fresh.user_codes, order[:taken])))
    return Selection(kept, *found, unsampled=len(fresh) - len(kept))


def _hash_order(ids: Sequence[str], seed: int) -> Int64:
    keys = [hashlib.sha256(f"{seed}:{id_}".encode()).digest() for id_ in ids]
    return np.asarray(sorted(range(len(ids)), key=keys.__getitem__), dtype=np.int64)
