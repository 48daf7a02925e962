"""From streams to histories and the log: claimed, written under names of their positions, acknowledged."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from slate.config import FeedbackConfig
from slate.errors import ConflictError, DataError, StorageError
from slate.feedback import batches
from slate.feedback.files import write_batch
from slate.feedback.join import packed, place_of
from slate.feedback.partitions import events_stream
from slate.feedback.queue import EXPOSURES, QUARANTINE, SHADOW_EXPOSURES, Claim, Entry, Queue
from slate.feedback.records import Event, identity, parse_exposure
from slate.feedback.shown import ShownSlates
from slate.feedback.state import Happened, OnlineState
from slate.storage import ObjectStore

_log = logging.getLogger(__name__)

LOG: Final = "log"
HISTORY: Final = "history"
INDEX: Final = "index"
_SMALL: Final = 500
_PAUSE_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 1.0
#: How far behind a consumer may be and still find the slates of outcomes that just counted.
BEHIND_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class _Source:
    """A stream that becomes files: which folders, and what its files are called."""

    stream: str
    label: str
    folders: tuple[str, ...]


@dataclass
class _Waiting:
    """Since when a source has had fewer records than a file should."""

    since: dict[str, float] = field(default_factory=dict)

    def is_over(self, source: _Source, depth: int, config: FeedbackConfig) -> bool:
        now = time.monotonic()
        began = self.since.setdefault(source.stream, now)
        return depth >= config.batch_rows or now - began >= config.batch_s

    def end(self, source: _Source) -> None:
        self.since.pop(source.stream, None)


class Consumer:
    """One of several that share a group. It may end at any instant: what it had claimed is done again.

    Histories and the index of shown slates are brought up to date by a thread of their own in small claims,
    files are written in large ones.

    Args:
        name: of this consumer; after a crash the same name goes on with its claim at once.
    """

    def __init__(
        self,
        queue: Queue,
        state: OnlineState,
        shown: ShownSlates,
        store: ObjectStore,
        config: FeedbackConfig,
        name: str,
    ) -> None:
        self._queue = queue
        self._state = state
        self._shown = shown
        self._store = store
        self._config = config
        self._name = name
        self._streams = [events_stream(partition) for partition in range(config.partitions)]
        self._sources = _sources(self._streams)
        self._waiting = _Waiting()
        self._counting = threading.Lock()
        self.counts: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop, and then finish what has come by then. Trouble with stores passes.

        Anything else ends all of it: a consumer that does half of its work would look alive.
        """
        with ThreadPoolExecutor(2, "consumer") as threads:
            loops = [
                threads.submit(self._repeat, work, stop) for work in (self.remember_all, self._write_due)
            ]
        for loop in loops:
            loop.result()
        try:
            self.drain()
        except StorageError as error:
            _log.warning("what waits stays in the queue: %s", error)

    def drain(self) -> None:
        """Do all that waits and nobody else has claimed.

        Raises:
            StorageError: a store cannot be reached; the rest waits in the queue.
        """
        self.remember_all()
        for source in self._sources:
            while self._write_next(source):
                pass

    def remember_all(self) -> bool:
        """Bring shown slates and histories up to date; whether there was anything."""
        worked = False
        while self._index_next():
            worked = True
        for stream in self._streams:
            while self._remember_next(stream):
                worked = True
        return worked

    def register(self) -> None:
        """Make all groups known, so that nothing is trimmed that one of them has not seen.

        Raises:
            StorageError: the queue cannot be reached.
        """
        self._queue.register(EXPOSURES, INDEX)
        for stream in self._streams:
            self._queue.register(stream, HISTORY)
        for source in self._sources:
            self._queue.register(source.stream, LOG)

    def _repeat(self, work: Callable[[], bool], stop: threading.Event) -> None:
        registered = False
        try:
            while not stop.is_set():
                pause = _PAUSE_SECONDS
                try:
                    if not registered:
                        self.register()
                        registered = True
                    if work():
                        continue
                except StorageError as error:
                    _log.warning("waits for the stores: %s", error)
                    pause = _RETRY_SECONDS
                stop.wait(pause)
        finally:
            stop.set()

    def _write_due(self) -> bool:
        worked = False
        for source in self._sources:
            depth = self._queue.depth(source.stream, LOG)
            if depth and self._waiting.is_over(source, depth, self._config) and self._write_next(source):
                self._waiting.end(source)
                worked = True
        return worked

    def _write_next(self, source: _Source) -> bool:
        claim = self._claim(source.stream, LOG, self._config.batch_rows)
        if claim is None:
            return False
        batch = self._batch(source, self._read(source.stream, claim))
        files = write_batch(self._store, batch, source.folders, source.label, claim)
        self._acknowledge(source.stream, LOG, claim)
        self._queue.trim(source.stream, claim.last - self._config.replayable + 1)
        self._count({"files": files} | {folder: batch.count(folder) for folder in source.folders})
        return True

    def _batch(self, source: _Source, entries: Sequence[Entry]) -> batches.Batch:
        if source.stream == QUARANTINE:
            return batches.quarantine_batch(source.stream, entries)
        if source.stream in (EXPOSURES, SHADOW_EXPOSURES):
            return batches.exposures_batch(source.folders[0], source.stream, entries)
        events = batches.parsed_events(entries)
        wanted = batches.exposure_ids(events)
        slates = self._slates(wanted)
        self._count({"unmatched": len(wanted) - len(slates)})
        return batches.events_batch(source.stream, entries, events, slates)

    def _slates(self, wanted: set[str]) -> dict[str, bytes]:
        """Those that are known, once what was shown before now is indexed or takes too long to be."""
        until = time.monotonic() + self._config.claim_s / 2
        slates = self._shown.find(wanted)
        while len(slates) < len(wanted) and time.monotonic() < until and self._queue.depth(EXPOSURES, INDEX):
            time.sleep(_PAUSE_SECONDS)
            slates = self._shown.find(wanted)
        return slates

    def _index_next(self) -> bool:
        claim = self._claim(EXPOSURES, INDEX, _SMALL)
        if claim is None:
            return False
        slates: dict[str, bytes] = {}
        for entry in self._read(EXPOSURES, claim):
            try:
                exposure = parse_exposure(entry.record)
            except DataError:
                continue  # The log quarantines it.
            slates[exposure.exposure_id] = packed(exposure.places)
        self._shown.put(slates, self._config.window_s + BEHIND_SECONDS)
        self._acknowledge(EXPOSURES, INDEX, claim)
        return True

    def _remember_next(self, stream: str) -> bool:
        claim = self._claim(stream, HISTORY, _SMALL)
        if claim is None:
            return False
        events = batches.parsed_events(self._read(stream, claim))
        slates = self._shown.find(batches.exposure_ids(events))
        happened: dict[str, list[Happened]] = {}
        for event in events.values():
            if isinstance(event, Event) and _fits(event, slates):
                happened.setdefault(event.user_id, []).append(_happened(event))
        if happened:
            self._state.remember(happened, self._config.history)
        self._acknowledge(stream, HISTORY, claim)
        self._count({"remembered": sum(map(len, happened.values()))})
        return True

    def _claim(self, stream: str, group: str, limit: int) -> Claim | None:
        if not self._queue.depth(stream, group):
            return None
        return self._queue.claim(stream, group, self._name, limit, self._config.claim_s)

    def _read(self, stream: str, claim: Claim) -> list[Entry]:
        size = claim.last - claim.first + 1
        entries = self._queue.read(stream, claim.first - 1, size)
        if [entry.position for entry in entries] != list(range(claim.first, claim.last + 1)):
            raise StorageError(
                f"{stream} {claim.first}-{claim.last}: only {len(entries)} of {size} records are there; "
                "look at the queue's disk"
            )
        return entries

    def _acknowledge(self, stream: str, group: str, claim: Claim) -> None:
        try:
            self._queue.acknowledge(stream, group, self._name, claim)
        except ConflictError as error:
            _log.info("was late, another consumer does the same again: %s", error)

    def _count(self, counts: Mapping[str, int]) -> None:
        with self._counting:
            self.counts.update(counts)


def _sources(streams: Sequence[str]) -> list[_Source]:
    written = (batches.EVENTS, batches.OUTCOMES, batches.QUARANTINE)
    return [
        _Source(EXPOSURES, "exposures", (batches.EXPOSURES, batches.QUARANTINE)),
        *(_Source(stream, f"{place:03d}", written) for place, stream in enumerate(streams)),
        _Source(SHADOW_EXPOSURES, "shadow", (batches.SHADOW_EXPOSURES, batches.QUARANTINE)),
        _Source(QUARANTINE, "refused", (batches.QUARANTINE,)),
    ]


def _fits(event: Event, slates: Mapping[str, bytes]) -> bool:
    try:
        place_of(event, slates)
    except DataError:
        return False
    return True


def _happened(event: Event) -> Happened:
    return Happened(identity(event), event.item_id, event.event, event.timestamp / 1e6, event.value)
