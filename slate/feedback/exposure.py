"""What was shown to whom: an id for each slate, and a record that nobody waits for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import orjson

from slate.clock import Clock, SystemClock, isoformat
from slate.feedback.signing import Signer
from slate.feedback.writer import BackgroundWriter

SCHEMA: Final = 1
#: Instants are spelt as everywhere else, by :func:`_plain`.
_PLAIN: Final = orjson.OPT_PASSTHROUGH_DATETIME


class Assigned(Protocol):
    """What a gateway said of a request; None is what it did not say."""

    @property
    def variant(self) -> str | None: ...
    @property
    def rollout_id(self) -> str | None: ...
    @property
    def step(self) -> str | None: ...
    @property
    def bucket(self) -> int | None: ...
    @property
    def allocation(self) -> float | None: ...
    @property
    def request_id(self) -> str | None: ...


class ExposureLog:
    """Signs and records slates of one variant.

    Args:
        signer: None gives no ids, and then nothing is recorded either: an outcome could not be joined.
        writer: the stream of this variant; that of shadow answers is one of its own.
    """

    def __init__(
        self, variant: str, signer: Signer | None, writer: BackgroundWriter, clock: Clock | None = None
    ) -> None:
        self._variant = variant
        self._signer = signer
        self._writer = writer
        self._clock = clock or SystemClock()
        self.failed = 0

    @property
    def dropped(self) -> int:
        """Records that were not kept, for whatever reason."""
        return self._writer.dropped + self.failed

    def expose(
        self,
        user_id: str | None,
        release_id: str,
        rung: str,
        items: Sequence[Any],
        context: Mapping[str, object],
        seconds: float,
        assigned: Assigned | None = None,
    ) -> str | None:
        """The exposure id of a slate that goes to a user; None for a slate to nobody known.

        Args:
            items: the slate's, as they are answered.
            seconds: how long the answer took.
            assigned: what the gateway said; without one this variant is what the user is assigned to.
        """
        if user_id is None or self._signer is None:
            return None
        variant = (assigned and assigned.variant) or self._variant
        rollout, step = (assigned.rollout_id, assigned.step) if assigned else (None, None)
        exposure_id = self._signer.sign(user_id, release_id, variant, rollout, step)
        try:
            record = {
                "schema": SCHEMA,
                "exposure_id": exposure_id,
                "timestamp": isoformat(self._clock.now()),
                "user_id": user_id,
                **_said(assigned),
                "assigned_variant": variant,
                "served_variant": self._variant,
                "release_id": release_id,
                "rung": rung,
                "latency_ms": round(1000 * seconds, 3),
                "context": context,
                "items": items,
            }
            self._writer.put(orjson.dumps(record, _plain, _PLAIN))
        except (TypeError, ValueError):
            # A context that is no JSON costs the record, never the answer.
            self.failed += 1
        return exposure_id


def _said(assigned: Assigned | None) -> dict[str, object]:
    """What a gateway said, under the names of the record."""
    if assigned is None:
        return {}
    said = {
        "rollout_id": assigned.rollout_id,
        "step": assigned.step,
        "bucket": assigned.bucket,
        "allocation": assigned.allocation,
        "request_id": assigned.request_id,
    }
    return {name: value for name, value in said.items() if value is not None}


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return isoformat(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
