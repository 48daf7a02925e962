"""Training examples: windows of users' logs, streamed in batches of one fixed shape.

A target is an interaction to predict. Its *query* is the state after the last interaction strictly
before it, so interactions of one instant are predicted together and never from each other. A window
holds up to ``history`` interactions of a user; each query belongs to exactly one window of an epoch,
and where windows begin is drawn anew each epoch.

Arrays of a batch (``rows`` windows, ``history`` columns, ``queries`` and ``targets`` slots):

==================  =====================  ==================================================
name                shape                  meaning
==================  =====================  ==================================================
history_items       int32 [rows, history]  catalogue row + 1, right-aligned, 0 for padding
history_events      int32 [rows, history]  event codes
query_row           int32 [queries]        the window of a query
query_column        int32 [queries]        its state's column, 0 being the start token
query_elapsed       float32 [queries]      log1p of seconds since its last interaction
target_query        int32 [targets]        the query of a target
target_items        int32 [targets]        the catalogue row to predict
target_weights      float32 [targets]      1, and 0 in slots that are not filled
user_*              [rows, ...]            encoded user features
context_*           [queries, ...]         encoded context of the query's first target
==================  =====================  ==================================================
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.data.features import EncodedArray, FeatureSpace, encode_columns, encode_records
from slate.data.sequences import UserLog
from slate.retrieval.query import CONTEXT_PREFIX, HISTORY_EVENTS, HISTORY_ITEMS, USER_PREFIX, log_ages

Int64 = npt.NDArray[np.int64]
Batch = dict[str, EncodedArray]

_MICROSECONDS = 1e6


class Shape(NamedTuple):
    """The fixed sizes of a batch."""

    rows: int
    history: int
    queries: int
    targets: int


class Share(NamedTuple):
    """Which of a batch's ``parts`` to make: those from ``start`` up to ``stop``, not included.

    The windows of a batch are dealt out to its parts; each part has the shape that is asked for. So workers
    that make parts of the same batches, by the same seed, together have what one of them alone would.
    """

    start: int = 0
    stop: int = 1
    parts: int = 1


#: Batches in one part, for one process.
WHOLE: Final = Share()


class Window(NamedTuple):
    """Entries ``start`` to ``stop`` of the log as inputs, and the targets asked in it.

    ``targets`` are positions in :attr:`Examples.targets`.
    """

    user: int
    start: int
    stop: int
    targets: Int64


@dataclass(frozen=True)
class Examples:
    """What there is to learn from a log, computed once.

    ``targets`` are log entries to predict, in log order; ``users`` the user row of each; ``states``
    the log entry whose state each is predicted from, one below the user's first entry for the start
    token.
    """

    log: UserLog
    targets: Int64
    users: Int64
    states: Int64
    user_features: Mapping[str, EncodedArray]
    context_features: Mapping[str, EncodedArray]

    @classmethod
    def of(
        cls,
        log: UserLog,
        features: FeatureSpace,
        target_events: Sequence[str],
        users: Mapping[str, Mapping[str, object]],
    ) -> "Examples":
        """Every interaction with a target event, but for items its user already had.

        Those would never be shown while seen items are filtered; of one item twice in one instant the
        first counts. ``users`` maps user ids to raw features.
        """
        codes = [features.event_code(event) for event in target_events]
        wanted = np.flatnonzero(np.isin(log.events, codes) & _first_times(log))
        owners = np.searchsorted(log.offsets, wanted, side="right") - 1
        first_of_instant = _instants(log)
        return cls(
            log,
            wanted,
            owners,
            first_of_instant[wanted] - 1,
            encode_records(features.users, [users.get(user, {}) for user in log.users.ids]),
            encode_columns(features.context, log.context, len(log)),
        )

    def only(self, chosen: npt.NDArray[np.bool_]) -> "Examples":
        """The targets where ``chosen``, bool [targets]; their inputs stay what they are."""
        kept = (self.targets[chosen], self.users[chosen], self.states[chosen])
        return Examples(self.log, *kept, self.user_features, self.context_features)

    def windows(self, history: int, stride: int, rng: np.random.Generator) -> list[Window]:
        """One epoch's windows in random order.

        A user's states are cut every ``stride`` entries from a random phase on; a window's inputs
        reach back ``history`` entries from its last state.
        """
        windows: list[Window] = []
        bounds = np.searchsorted(self.users, np.arange(len(self.log.users) + 1))
        phases = rng.integers(0, stride, len(self.log.users))
        for user in np.flatnonzero(np.diff(bounds)):
            first, end = int(self.log.offsets[user]), int(self.log.offsets[user + 1])
            positions = np.arange(bounds[user], bounds[user + 1])
            # A user who fits in one window is never cut.
            phase = int(phases[user]) if end - first > history else 0
            span = stride if end - first > history else history + 1
            chunks = (self.states[positions] - first + 1 + phase) // span
            for chunk in np.split(positions, np.flatnonzero(np.diff(chunks)) + 1):
                stop = int(self.states[chunk[-1]]) + 1
                windows.append(Window(int(user), max(first, stop - history), stop, chunk))
        order = rng.permutation(len(windows))
        return [windows[int(i)] for i in order]

    def batches(
        self, shape: Shape, stride: int, seed: Sequence[int], share: Share = WHOLE
    ) -> Iterator[Batch]:
        """One epoch's batches, the same for the same seed; of each one the parts of ``share``, in turn."""
        for pending in self._packed(shape, stride, seed, share.parts):
            for part in pending.parts[share.start : share.stop]:
                yield self._fill(shape, part.windows)

    def count(self, shape: Shape, stride: int, seed: Sequence[int], parts: int = 1) -> int:
        """How many batches there are in this epoch."""
        return sum(1 for _ in self._packed(shape, stride, seed, parts))

    def blank(self, shape: Shape) -> Batch:
        """A batch of this shape without any window."""
        return self._fill(shape, ())

    def _packed(self, shape: Shape, stride: int, seed: Sequence[int], parts: int) -> Iterator["_Pending"]:
        rng = np.random.default_rng(seed)
        pending = _Pending(shape, parts)
        for window in self.windows(shape.history, stride, rng):
            for piece in self._pieces(window, shape):
                queries = len(np.unique(self.states[piece.targets]))
                if not pending.add(piece, queries):
                    yield pending
                    pending = _Pending(shape, parts)
                    pending.add(piece, queries)
        if pending:
            yield pending

    def _pieces(self, window: Window, shape: Shape) -> Iterator[Window]:
        size = min(shape.targets, shape.queries)
        for start in range(0, len(window.targets), size):
            yield window._replace(targets=window.targets[start : start + size])

    def _fill(self, shape: Shape, windows: Sequence[Window]) -> Batch:
        log = self.log
        batch = _empty(shape)
        users = np.zeros(shape.rows, np.int64)
        first_entries = np.zeros(shape.queries, np.int64)
        query = target = 0
        for row, window in enumerate(windows):
            size = window.stop - window.start
            if size:
                batch[HISTORY_ITEMS][row, -size:] = log.items[window.start : window.stop] + 1
                batch[HISTORY_EVENTS][row, -size:] = log.events[window.start : window.stop]
            users[row] = window.user
            entries = self.targets[window.targets]
            states, first, of_target = np.unique(
                self.states[window.targets], return_index=True, return_inverse=True
            )
            started = states >= log.offsets[window.user]
            seconds = (log.times[entries[first]] - log.times[np.maximum(states, 0)]) / _MICROSECONDS
            part = slice(query, query + len(states))
            batch["query_row"][part] = row
            batch["query_column"][part] = np.where(started, shape.history - (window.stop - states) + 1, 0)
            batch["query_elapsed"][part] = log_ages(np.where(started, seconds, 0.0))
            first_entries[part] = entries[first]
            filled = slice(target, target + len(entries))
            batch["target_query"][filled] = of_target + query
            batch["target_items"][filled] = log.items[entries]
            batch["target_weights"][filled] = 1.0
            query, target = query + len(states), target + len(entries)
        batch |= {f"{USER_PREFIX}{name}": array[users] for name, array in self.user_features.items()}
        context = self.context_features.items()
        return batch | {f"{CONTEXT_PREFIX}{name}": array[first_entries] for name, array in context}

    def dataset(
        self, shape: Shape, stride: int, seed: Sequence[int], share: Share = WHOLE
    ) -> tf.data.Dataset:
        """The same batches as a ``tf.data`` stream with static shapes."""
        signature = {
            name: tf.TensorSpec(array.shape, array.dtype) for name, array in self.blank(shape).items()
        }
        stream = tf.data.Dataset.from_generator(
            lambda: self.batches(shape, stride, seed, share), output_signature=signature
        ).prefetch(4)
        options = tf.data.Options()
        options.deterministic = True
        # Autotuning has nothing to tune here, and its thread holds up a finished epoch for seconds.
        options.autotune.enabled = False
        return stream.with_options(options)


class _Part:
    """The windows of one part of a batch."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.queries = self.targets = 0

    def fits(self, shape: Shape, queries: int, targets: int) -> bool:
        return (
            len(self.windows) < shape.rows
            and self.queries + queries <= shape.queries
            and self.targets + targets <= shape.targets
        )


class _Pending:
    """Windows that wait for their batch to be full."""

    def __init__(self, shape: Shape, parts: int) -> None:
        self._shape = shape
        self.parts = [_Part() for _ in range(parts)]

    def __bool__(self) -> bool:
        return any(part.windows for part in self.parts)

    def add(self, window: Window, queries: int) -> bool:
        """Put a window into the part with the fewest targets that has room; False where none has."""
        fitting = [part for part in self.parts if part.fits(self._shape, queries, len(window.targets))]
        if not fitting:
            return False
        part = min(fitting, key=lambda each: each.targets)
        part.windows.append(window)
        part.queries += queries
        part.targets += len(window.targets)
        return True


def _empty(shape: Shape) -> Batch:
    return {
        HISTORY_ITEMS: np.zeros((shape.rows, shape.history), np.int32),
        HISTORY_EVENTS: np.zeros((shape.rows, shape.history), np.int32),
        "query_row": np.zeros(shape.queries, np.int32),
        "query_column": np.zeros(shape.queries, np.int32),
        "query_elapsed": np.zeros(shape.queries, np.float32),
        "target_query": np.zeros(shape.targets, np.int32),
        "target_items": np.zeros(shape.targets, np.int32),
        "target_weights": np.zeros(shape.targets, np.float32),
    }


def _instants(log: UserLog) -> Int64:
    """For each entry the first entry of the same user and instant."""
    entries = np.arange(len(log), dtype=np.int64)
    begins = np.ones(len(log), np.bool_)
    begins[1:] = np.diff(log.times) != 0
    begins[log.offsets[:-1][np.diff(log.offsets) > 0]] = True
    return np.maximum.accumulate(np.where(begins, entries, 0))


def _first_times(log: UserLog) -> npt.NDArray[np.bool_]:
    """True where a user meets an item for the first time."""
    owners = np.repeat(np.arange(len(log.users), dtype=np.int64), np.diff(log.offsets))
    pairs = np.stack([owners, log.items.astype(np.int64)], axis=1)
    first = np.zeros(len(log), np.bool_)
    if len(log):
        first[np.unique(pairs, axis=0, return_index=True)[1]] = True
    return first
