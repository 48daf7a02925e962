"""What an event may look like, as the data set describes its events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from slate.clock import Clock
from slate.config import Condition, DatasetConfig, Event, FeedbackConfig
from slate.feedback.endpoint import fields
from slate.feedback.endpoint.refusal import BadFieldError, shown

FIELDS: Final = frozenset(
    {"schema", "event_id", "user_id", "item_id", "event", "value", "timestamp", "exposure_id"}
)
_VALUE: Final = "value"
_LONGEST_TOKEN: Final = 2048


@dataclass(frozen=True)
class Checked:
    """An event whose every field is sound; without an exposure id it is organic."""

    event_id: str
    user_id: str
    item_id: str
    event: str
    value: float | None
    timestamp: datetime
    exposure_id: str | None


class EventSchema:
    """The names, values and instants that events may have.

    A value is needed where the event's weight is multiplied by it. It lies in the range of the interactions'
    value, and fulfils the event's own condition on the same column, if there is one.

    Args:
        clock: what ages are reckoned by.
    """

    def __init__(self, dataset: DatasetConfig, config: FeedbackConfig, clock: Clock) -> None:
        self._events = dataset.events
        self._range = dataset.interactions.ranges.get(_VALUE)
        column = dataset.interactions.columns.get(_VALUE, "")
        self._conditions = {
            name: event.when[column]
            for name, event in dataset.events.items()
            if event.when is not None and column in event.when
        }
        self._config = config
        self._clock = clock

    def check(self, raw: object) -> Checked:
        """The event, if everything about it is in order.

        Raises:
            BadFieldError: something is not; the first such field is named.
        """
        given = fields.mapping(raw, FIELDS, "event")
        fields.schema(given.get("schema"))
        event_id = fields.identifier(given.get("event_id"), "event_id", fields.MAX_EVENT_ID_BYTES)
        user_id = fields.identifier(given.get("user_id"), "user_id")
        item_id = fields.identifier(given.get("item_id"), "item_id")
        name, event = self._event(given.get("event"))
        return Checked(
            event_id,
            user_id,
            item_id,
            name,
            self._value(name, event, given),
            self._timestamp(given.get("timestamp")),
            _exposure(given.get("exposure_id")),
        )

    def _event(self, value: object) -> tuple[str, Event]:
        known = f"the data set has {', '.join(self._events)}"
        if value is None:
            raise BadFieldError("event", "is missing", known)
        found = self._events.get(value) if type(value) is str else None
        if type(value) is not str or found is None:
            raise BadFieldError("event", f"{shown(value)} is no event", known)
        return value, found

    def _value(self, name: str, event: Event, given: Mapping[str, Any]) -> float | None:
        value = given.get(_VALUE)
        if value is None:
            if event.weight_by is None:
                return None
            raise BadFieldError(_VALUE, "is missing", f"the weight of {name!r} is multiplied by it")
        read = fields.number(value, _VALUE)
        if self._range is not None:
            fields.within(read, self._range.min, self._range.max, _VALUE)
        condition = self._conditions.get(name)
        if condition is not None:
            _fulfil(condition, read, name)
        return read

    def _timestamp(self, value: object) -> datetime:
        at = fields.instant(value, "timestamp")
        now = self._clock.now()
        if now - at > timedelta(seconds=self._config.max_age_s):
            raise BadFieldError(
                "timestamp", f"{shown(value)} is too old", f"events may be {self._config.max_age_s:g} s old"
            )
        if at - now > timedelta(seconds=self._config.max_ahead_s):
            raise BadFieldError(
                "timestamp",
                f"{shown(value)} lies in the future",
                f"clocks may be {self._config.max_ahead_s:g} s ahead",
            )
        return at


def _exposure(value: object) -> str | None:
    if value is None:
        return None
    if type(value) is not str:
        raise BadFieldError("exposure_id", f"{shown(value)} is not text", "send that of the slate unchanged")
    if not 0 < len(value) <= _LONGEST_TOKEN or not value.isascii():
        raise BadFieldError("exposure_id", "is no exposure id", "send that of the slate unchanged")
    return value


def _fulfil(condition: Condition, value: float, name: str) -> None:
    fields.within(value, condition.min, condition.max, _VALUE)
    wanted = condition.one_of if condition.equals is None else (condition.equals,)
    if wanted is not None and value not in wanted:
        raise BadFieldError(_VALUE, f"{value:g} is not that of {name!r}", f"it is one of {wanted}")
