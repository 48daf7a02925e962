"""The one clock. Expiry, rollouts and simulations read it; process timeouts stay real.

``scale`` compresses time: with a scale of 60, one real second is one minute here. Processes that belong
together share a scale and where it began through the environment: ``SLATE_TIME_SCALE=60@1764000000``.
"""

import math
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol

from slate.errors import ConfigError

VARIABLE: Final = "SLATE_TIME_SCALE"


class Scale(NamedTuple):
    """How much faster than real time it goes, since ``origin``, in seconds since 1970."""

    factor: float = 1.0
    origin: float = 0.0

    def __str__(self) -> str:
        return f"{self.factor:g}@{self.origin:f}"


def scale_of(text: str | None) -> Scale:
    """A scale as the environment spells it; real time where it says nothing.

    Raises:
        ConfigError: it is no scale.

    >>> scale_of("60@1764000000"), scale_of("")
    (Scale(factor=60.0, origin=1764000000.0), Scale(factor=1.0, origin=0.0))
    """
    if not text:
        return Scale()
    factor, _, origin = text.partition("@")
    try:
        found = Scale(float(factor), float(origin))
    except ValueError:
        found = Scale(math.nan)
    if not (found.factor > 0 and math.isfinite(sum(found))):
        raise ConfigError(
            f"{VARIABLE} is {text!r}: set it to a factor and where it began, like 60@1764000000, or unset it"
        )
    return found


class Clock(Protocol):
    """Anything that tells the time in UTC."""

    def now(self) -> datetime:
        """The current instant, timezone-aware, in UTC."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """Wall-clock time, as fast as the environment says where no ``scale`` is given."""

    scale: Scale = field(default_factory=lambda: scale_of(os.environ.get(VARIABLE)))

    def now(self) -> datetime:
        instant = datetime.now(UTC)
        factor, origin = self.scale
        if factor == 1.0:
            return instant
        return instant + timedelta(seconds=(instant.timestamp() - origin) * (factor - 1))


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
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def microseconds(instant: datetime) -> int:
    """Integer microseconds since the Unix epoch."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_microseconds(value: int) -> datetime:
    """The inverse of :func:`microseconds`."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(value))
