"""Records of the streams, as they are read back: whole, or refused with a reason and nothing else.

Whoever appended a record checked it, but a stream outlives programs: reading never fails otherwise.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, NoReturn

from slate.clock import microseconds
from slate.errors import DataError

SCHEMA: Final = 1
#: The end of the year 9999, in microseconds since 1970.
_LAST_INSTANT: Final = 253_402_300_799_999_999


@dataclass(frozen=True)
class Attribution:
    """What an exposure id said when the endpoint verified it."""

    release_id: str
    variant: str
    rollout_id: str | None
    step: str | None


@dataclass(frozen=True)
class Event:
    """One accepted event. Instants in microseconds since 1970; ``shown`` is None for an organic one."""

    event_id: str
    user_id: str
    item_id: str
    event: str
    value: float | None
    timestamp: int
    received: int
    exposure_id: str | None
    shown: Attribution | None


class Place(NamedTuple):
    """Where an item stood in a slate (from 1), and how likely it was to stand there."""

    position: int
    propensity: float


@dataclass(frozen=True)
class Exposure:
    """One slate that was shown: ``row`` in the columns of the log, ``places`` by item."""

    exposure_id: str
    timestamp: int
    row: tuple[Any, ...]
    places: Mapping[str, Place]


def parse_event(record: bytes) -> Event:
    """An event of the stream ``queue:events``.

    Raises:
        DataError: the reason why it is none.
    """
    found = _Fields(_object(record, _refuse_constant))
    organic = found.flag("organic")
    shown = None if organic else _attribution(found)
    return Event(
        event_id=found.text("event_id"),
        user_id=found.text("user_id"),
        item_id=found.text("item_id"),
        event=found.text("event"),
        value=found.optional_number("value"),
        timestamp=found.instant("timestamp"),
        received=found.instant("received"),
        exposure_id=found.optional_text("exposure_id") if organic else found.text("exposure_id"),
        shown=shown,
    )


def identity(event: Event) -> str:
    """The id of an event among all of its user's, whoever sent it: 32 hexadecimal characters.

    Its own id is the sender's choice, so it counts together with the slate, the item and what was done:
    nobody takes the place of another's event by sending one under the same id.
    """
    parts = [event.shown is None, event.exposure_id, event.event_id, event.item_id, event.event]
    text = json.dumps(parts, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def parse_exposure(record: bytes) -> Exposure:
    """An exposure of the streams ``queue:exposures`` and ``queue:shadow-exposures``.

    Raises:
        DataError: the reason why it is none.
    """
    found = _Fields(_object(record, _no_number))
    shown: list[dict[str, Any]] = [
        {
            "item_id": item.text("item_id"),
            "score": item.optional_number("score"),
            "position": item.whole("position"),
            "source": item.optional_text("source"),
            "propensity": item.number("propensity"),
        }
        for item in found.objects("items")
    ]
    places = {item["item_id"]: Place(item["position"], item["propensity"]) for item in shown}
    exposure_id, timestamp = found.text("exposure_id"), found.instant("timestamp")
    row = (
        exposure_id,
        timestamp,
        found.text("user_id"),
        found.optional_text("rollout_id"),
        found.optional_text("step"),
        found.optional_whole("bucket"),
        found.optional_number("allocation"),
        found.optional_text("request_id"),
        found.text("assigned_variant"),
        found.text("served_variant"),
        found.text("release_id"),
        found.text("rung"),
        found.optional_number("latency_ms"),
        found.json("context"),
        shown,
    )
    return Exposure(exposure_id, timestamp, row, places)


def received_of(record: bytes) -> int | None:
    """When a record was received, as far as it says so: in microseconds since 1970."""
    try:
        return _Fields(_any_object(record, _no_number)).instant("received")
    except DataError:
        return None


def parse_refused(record: bytes) -> tuple[str, str]:
    """The reason and the text of what the endpoint refused, in the stream ``queue:quarantine``.

    Raises:
        DataError: the reason why it is no such record.
    """
    found = _Fields(_any_object(record, _no_number))
    return found.text("reason"), found.text("record")


class _Fields:
    """The fields of one object, each with its type or a reason."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        found = self.optional_text(name)
        if not found:
            raise DataError(f"{name}: is missing")
        return found

    def optional_text(self, name: str) -> str | None:
        found = self._values.get(name)
        if found is None:
            return None
        if not isinstance(found, str) or not _is_unicode(found):
            raise DataError(f"{name}: is no text")
        return found

    def flag(self, name: str) -> bool:
        found = self._values.get(name)
        if not isinstance(found, bool):
            raise DataError(f"{name}: is neither true nor false")
        return found

    def optional_number(self, name: str) -> float | None:
        found = self._values.get(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not _is_finite(found):
            raise DataError(f"{name}: is no number")
        return float(found)

    def number(self, name: str) -> float:
        found = self.optional_number(name)
        if found is None:
            raise DataError(f"{name}: is missing")
        return found

    def whole(self, name: str) -> int:
        found = self.optional_whole(name)
        if found is None:
            raise DataError(f"{name}: is missing")
        return found

    def optional_whole(self, name: str) -> int | None:
        found = self._values.get(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or not -(2**31) <= found < 2**31:
            raise DataError(f"{name}: is no whole number")
        return found

    def instant(self, name: str) -> int:
        text = self.text(name)
        try:
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            raise DataError(f"{name}: is no RFC 3339 instant") from error
        if instant.tzinfo is None:
            raise DataError(f"{name}: has no time zone")
        since = microseconds(instant)
        if not 0 <= since <= _LAST_INSTANT:
            raise DataError(f"{name}: is before 1970 or after 9999")
        return since

    def inner(self, name: str) -> "_Fields":
        found = self._values.get(name)
        if not isinstance(found, dict):
            raise DataError(f"{name}: is no object")
        return _Fields(found)

    def objects(self, name: str) -> list["_Fields"]:
        found = self._values.get(name)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise DataError(f"{name}: is no list of objects")
        return [_Fields(one) for one in found]

    def json(self, name: str) -> str:
        """A value of any shape, as text that is ASCII alone."""
        return json.dumps(self._values.get(name), separators=(",", ":"), sort_keys=True)


def _attribution(found: _Fields) -> Attribution:
    shown = found.inner("shown")
    return Attribution(
        shown.text("release"),
        shown.text("variant"),
        shown.optional_text("rollout"),
        shown.optional_text("step"),
    )


def _object(record: bytes, constant: Any) -> dict[str, Any]:
    found = _any_object(record, constant)
    if found.get("schema") != SCHEMA:
        raise DataError(f"schema: is not {SCHEMA}")
    return found


def _any_object(record: bytes, constant: Any) -> dict[str, Any]:
    try:
        found = json.loads(record, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise DataError("is no JSON") from error
    if not isinstance(found, dict):
        raise DataError("is no JSON object")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and infinities are no JSON")


def _no_number(_: str) -> None:
    """A score may be NaN, which says as much as none."""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
