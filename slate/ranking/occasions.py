"""What the ranker learns from: requests that are known to have ended in interactions.

An occasion is one user at one instant of the validation slice, which the tower was not trained on. Its
query holds the history strictly before it; its positives are the items that the user met then for the
first time, with every event that followed on the item within the slice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate import columns
from slate.clock import from_microseconds, isoformat, microseconds
from slate.data.holdout import Split
from slate.data.sequences import UserLog
from slate.errors import DataError
from slate.hashing import BUCKETS, bucket
from slate.retrieval.index.base import CandidateIndex
from slate.retrieval.query import Query, QueryEncoder

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CHUNK = 512
_FIT, _STOP = 0.7, 0.85
_SALT = "ranker"


@dataclass(frozen=True)
class Occasions:
    """n requests and the p items interacted with: request ``i`` owns ``offsets[i]`` to ``offsets[i + 1]``.

    ``items`` int32 [p] are catalogue rows, ``events`` bool [p, events] say what followed, ``values``
    float32 [p] are the last value given, NaN without one. ``seen`` are the distinct items of each history.
    ``repeats`` counts interactions left out because the user had the item before, ``not_sampled`` the
    requests left out because there are too many.
    """

    queries: tuple[Query, ...]
    users: tuple[str, ...]
    offsets: Int64
    items: Int32
    events: Mask
    values: Float32
    seen: tuple[Int32, ...]
    repeats: int
    not_sampled: int = 0

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def times(self) -> Int64:
        """The instant of each request, microseconds."""
        return np.fromiter((q.at for q in self.queries), dtype=np.int64, count=len(self))

    def take(self, positions: Int64) -> "Occasions":
        """The requests at these positions."""
        sizes = np.diff(self.offsets)[positions]
        owned = [np.arange(self.offsets[p], self.offsets[p + 1]) for p in positions]
        kept = np.concatenate(owned) if owned else np.empty(0, np.int64)
        return Occasions(
            tuple(self.queries[int(p)] for p in positions),
            tuple(self.users[int(p)] for p in positions),
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            self.items[kept],
            self.events[kept],
            self.values[kept],
            tuple(self.seen[int(p)] for p in positions),
            self.repeats,
            self.not_sampled,
        )


@dataclass(frozen=True)
class Pools:
    """What retrieval finds for n requests, without what was seen: the candidates to be ranked.

    ``rows`` int32 [n, c], best first, -1 after the last; ``scores`` float32 [n, c], minus infinity there;
    ``embeddings`` float32 [n, dim] of the queries.
    """

    rows: Int32
    scores: Float32
    embeddings: Float32

    @property
    def lengths(self) -> Int64:
        """How many candidates each request has."""
        return (self.rows >= 0).sum(axis=1)


@dataclass(frozen=True)
class Parts:
    """Positions of requests: to fit on, to stop and choose thresholds on, and to report on."""

    fit: Int64
    stop: Int64
    report: Int64


def gather(split: Split, most: int | None = None, seed: int = 0) -> Occasions:
    """The occasions of the validation slice, by instant, then user: at most ``most``, drawn by seed.

    Raises:
        DataError: the slice reaches back into the tower's training.
    """
    table = split.part("valid")
    temporal = split.protocol == "temporal"
    times = table[columns.TIMESTAMP].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    if temporal:
        _after_training(times, split.record)
    log = split.history_log("valid")
    touched, repeats = _first_touches(table, times, log, split, whole=not temporal)
    names = [c for c in table.column_names if c not in columns.INTERACTION_COLUMNS]
    context = {name: table[name].to_pylist() for name in names}
    queries, users, offsets, seen = [], [], [0], []
    items: list[int] = []
    events: list[Mask] = []
    values: list[float] = []
    chosen = sorted(touched)
    if most is not None and len(chosen) > most:
        places = np.random.default_rng(seed).choice(len(chosen), most, replace=False)
        chosen = [chosen[place] for place in sorted(places.tolist())]
    for at, user in chosen:
        group = touched[at, user]
        history = log.history_of(user, before=at if temporal else None)
        first = group[0].row
        asked = {name: column[first] for name, column in context.items()}
        queries.append(Query(history, at, split.user_features.get(user, {}), asked))
        users.append(user)
        seen.append(np.unique(history.items))
        for touch in group:
            items.append(touch.item)
            events.append(touch.events)
            values.append(touch.value)
        offsets.append(len(items))
    return Occasions(
        tuple(queries),
        tuple(users),
        np.asarray(offsets, np.int64),
        np.asarray(items, np.int32),
        np.asarray(events, np.bool_).reshape(len(items), len(split.features.events)),
        np.asarray(values, np.float32),
        tuple(seen),
        repeats,
        len(touched) - len(chosen),
    )


@dataclass
class _Touch:
    """One user and one item: the row of the first interaction, and all that followed."""

    row: int
    item: int
    at: int
    events: Mask
    value: float


def _first_touches(
    table: pa.Table, times: Int64, log: UserLog, split: Split, *, whole: bool
) -> tuple[dict[tuple[int, str], list[_Touch]], int]:
    """First interactions with items that are new to their user, by instant and user."""
    users = table[columns.USER].to_pylist()
    ids = table[columns.ITEM].to_pylist()
    names = table[columns.EVENT].to_pylist()
    values = table[columns.VALUE].to_pylist()
    codes = split.features.events
    before: dict[str, set[int]] = {}
    touches: dict[tuple[str, int], _Touch] = {}
    repeats = 0
    first_time = int(times.min()) if len(times) else 0
    order = sorted(range(len(users)), key=lambda r: (times[r], users[r], ids[r], names[r]))
    for row in order:
        user, item = users[row], split.catalogue.ids.row(ids[row])
        if item is None:
            continue
        if user not in before:
            past = log.history_of(user, before=None if whole else first_time)
            before[user] = set(past.items.tolist())
        if item in before[user]:
            repeats += 1
            continue
        touch = touches.get((user, item))
        if touch is None:
            touch = _Touch(row, item, int(times[row]), np.zeros(len(codes), np.bool_), np.nan)
            touches[user, item] = touch
        touch.events[codes.index(names[row])] = True
        if values[row] is not None and np.isfinite(values[row]):
            touch.value = float(values[row])
    grouped: dict[tuple[int, str], list[_Touch]] = {}
    for (user, _), touch in touches.items():
        grouped.setdefault((touch.at, user), []).append(touch)
    return grouped, repeats


def _after_training(times: Int64, record: Mapping[str, Any]) -> None:
    from datetime import datetime

    train_end = microseconds(datetime.fromisoformat(str(record["train_end"])))
    if len(times) and int(times.min()) <= train_end:
        raise DataError(
            f"ranker: a validation row of {isoformat(from_microseconds(int(times.min())))} is not later than "
            f"train_end {record['train_end']}, so the tower was trained on it; run the split step again"
        )


def retrieve(
    occasions: Occasions, encoder: QueryEncoder, index: CandidateIndex, embeddings: Float32, count: int
) -> Pools:
    """The ``count`` best unseen candidates of each request, as serving would find them.

    Scores are dot products with ``embeddings`` float32 [items, dim], which are what the index returns.
    """
    n = len(occasions)
    width = min(count, index.size)
    rows = np.full((n, width), -1, np.int32)
    scores = np.full((n, width), -np.inf, np.float32)
    vectors = [encoder.embed(occasions.queries[s : s + _CHUNK]) for s in range(0, n, _CHUNK)]
    embedded = np.concatenate(vectors) if vectors else np.empty((0, index.dim), np.float32)
    for start in range(0, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        most = max(len(seen) for seen in occasions.seen[start:stop])
        found = index.search(embedded[start:stop], count + most)
        for query in range(start, stop):
            best, _ = found.row(query - start)
            fresh = best[~np.isin(best, occasions.seen[query])][:count]
            rows[query, : len(fresh)] = fresh
            scores[query, : len(fresh)] = embeddings[fresh] @ embedded[query]
    return Pools(rows, scores, embedded)


def divide(occasions: Occasions, protocol: str) -> Parts:
    """70% to fit, 15% to stop on, 15% to report on: by time, or by users for leave-last-out.

    Requests of one instant stay together, and so do those of one user in leave-last-out.
    """
    if protocol == "temporal":
        times = occasions.times
        if not len(times):
            return Parts(*(np.empty(0, np.int64) for _ in range(3)))
        ordered = np.sort(times)
        ends = [ordered[max(int(np.ceil(share * len(ordered))) - 1, 0)] for share in (_FIT, _STOP)]
        part = np.searchsorted(ends, times, side="left")
    else:
        shares = np.asarray([bucket(_SALT, user) / BUCKETS for user in occasions.users])
        part = np.searchsorted([_FIT, _STOP], shares, side="right")
    fit, stop, report = (np.flatnonzero(part == number) for number in range(3))
    return Parts(fit, stop, report)


def positives_of(occasions: Occasions, queries: Int64) -> Int64:
    """Positions of the positives of the given requests, int64."""
    owned: Sequence[Int64] = [np.arange(occasions.offsets[q], occasions.offsets[q + 1]) for q in queries]
    return np.concatenate(owned) if owned else np.empty(0, np.int64)
