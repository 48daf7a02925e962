"""The one clock. Expiry, rollouts and simulations read it; process timeouts stay real.

``scale`` compresses time: with a scale of 60, one real second is one minute here.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time in UTC."""

    def now(self) -> datetime:
        """The current instant, timezone-aware, in UTC."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """Wall-clock time, optionally running ``scale`` times as fast from the moment it is made."""

    scale: float = 1.0
    _origin: datetime = field(default_factory=lambda: datetime.now(UTC))
    _started: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        if self.scale == 1.0:
            return datetime.now(UTC)
        return self._origin + timedelta(seconds=(time.monotonic() - self._started) * self.scale)


@dataclass
class ManualClock:
    """A clock that moves only when told to, for simulations and tests."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant

    def advance(self, by: timedelta) -> None:
        """Move forward by ``by``."""
        self.instant += by


def isoformat(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a ``Z``, the one spelling used in every record."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def microseconds(instant: datetime) -> int:
    """Integer microseconds since the Unix epoch."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_microseconds(value: int) -> datetime:
    """The inverse of :func:`microseconds`."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(value))
