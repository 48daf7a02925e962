"""Claimed records, sorted into the files of the log: by folder, and by the UTC day of their receipt."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import pyarrow as pa

from slate.clock import from_microseconds
from slate.errors import DataError
from slate.feedback import tables
from slate.feedback.join import place_of
from slate.feedback.queue import Entry
from slate.feedback.records import Event, parse_event, parse_exposure, parse_refused, received_of

EVENTS: Final = "events"
OUTCOMES: Final = "outcomes"
EXPOSURES: Final = "exposures"
SHADOW_EXPOSURES: Final = "shadow_exposures"
QUARANTINE: Final = "quarantine"
SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    EVENTS: tables.EVENTS,
    OUTCOMES: tables.OUTCOMES,
    EXPOSURES: tables.EXPOSURES,
    SHADOW_EXPOSURES: tables.EXPOSURES,
    QUARANTINE: tables.QUARANTINE,
}
_LONGEST_RECORD: Final = 4096
_NO_DAY: Final = date(1970, 1, 1)


@dataclass
class Batch:
    """Rows of one claim by folder and day; a day without rows of a folder is there, and empty."""

    rows: dict[tuple[str, date], list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))
    days: set[date] = field(default_factory=set)

    def add(self, folder: str, day: date, row: tuple[Any, ...]) -> None:
        """One more row of a folder's day."""
        self.days.add(day)
        self.rows[folder, day].append(row)

    def count(self, folder: str) -> int:
        """How many rows of a folder there are."""
        return sum(len(rows) for (name, _), rows in self.rows.items() if name == folder)


def parsed_events(entries: Sequence[Entry]) -> dict[int, Event | DataError]:
    """Each record's event, or the reason why it is none, by position."""
    found: dict[int, Event | DataError] = {}
    for entry in entries:
        try:
            found[entry.position] = parse_event(entry.record)
        except DataError as error:
            found[entry.position] = error
    return found


def exposure_ids(events: Mapping[int, Event | DataError]) -> set[str]:
    """The exposures that outcomes among the events name."""
    return {
        event.exposure_id
        for event in events.values()
        if isinstance(event, Event) and event.shown is not None and event.exposure_id is not None
    }


def events_batch(
    stream: str,
    entries: Sequence[Entry],
    events: Mapping[int, Event | DataError],
    slates: Mapping[str, bytes],
) -> Batch:
    """Events and outcomes; what cannot be read or joined goes to quarantine.

    Args:
        slates: packed slates by exposure id, as far as they are known.
    """
    batch, unread = Batch(), _first_day(entries)
    for entry in entries:
        event = events[entry.position]
        if isinstance(event, DataError):
            received = received_of(entry.record)
            row = _quarantined(str(event), received, stream, entry)
            batch.add(QUARANTINE, unread if received is None else _day(received), row)
            continue
        day = _day(event.received)
        try:
            place = place_of(event, slates)
        except DataError as error:
            batch.add(QUARANTINE, day, _quarantined(str(error), event.received, stream, entry))
            continue
        row = _event_row(event)
        batch.add(EVENTS, day, row)
        if event.shown is not None:
            shown = event.shown
            position, propensity = place or (None, None)
            attribution = (shown.rollout_id, shown.step, shown.variant, shown.release_id)
            batch.add(OUTCOMES, day, (*row, *attribution, position, propensity))
    return batch


def exposures_batch(folder: str, stream: str, entries: Sequence[Entry]) -> Batch:
    """Exposures by the day they were shown; one that was appended twice in a row counts once."""
    batch, seen = Batch(), set()
    last_day = _NO_DAY
    for entry in entries:
        try:
            exposure = parse_exposure(entry.record)
        except DataError as error:
            batch.add(QUARANTINE, last_day, _quarantined(str(error), None, stream, entry))
            continue
        last_day = _day(exposure.timestamp)
        if exposure.exposure_id not in seen:
            seen.add(exposure.exposure_id)
            batch.add(folder, last_day, exposure.row)
    return batch


def quarantine_batch(stream: str, entries: Sequence[Entry]) -> Batch:
    """What the endpoint refused, with its reason."""
    batch, unread = Batch(), _first_day(entries)
    for entry in entries:
        reason, text = _refused(entry.record)
        received = received_of(entry.record)
        row = (reason, received, stream, entry.position, text)
        batch.add(QUARANTINE, unread if received is None else _day(received), row)
    return batch


def _refused(record: bytes) -> tuple[str, str]:
    try:
        reason, text = parse_refused(record)
    except DataError as error:
        return f"is no quarantine record: {error}", _text(record)
    return reason[:_LONGEST_RECORD], text[:_LONGEST_RECORD]


def _event_row(event: Event) -> tuple[Any, ...]:
    return (
        event.event_id,
        event.user_id,
        event.item_id,
        event.event,
        event.value,
        event.timestamp,
        event.received,
        event.exposure_id,
        event.shown is None,
    )


def _quarantined(reason: str, received: int | None, stream: str, entry: Entry) -> tuple[Any, ...]:
    return (reason, received, stream, entry.position, _text(entry.record))


def _text(record: bytes) -> str:
    return record[:_LONGEST_RECORD].decode(errors="replace")


def _first_day(entries: Sequence[Entry]) -> date:
    """The day of what does not say when it came: that of the first record around it that does."""
    for entry in entries:
        received = received_of(entry.record)
        if received is not None:
            return _day(received)
    return _NO_DAY


def _day(instant: int) -> date:
    return from_microseconds(instant).date()
