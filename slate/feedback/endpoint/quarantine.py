"""What could not be taken is kept with its reason, without what must not be kept."""

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from slate.clock import Clock, isoformat
from slate.errors import SlateError
from slate.feedback.endpoint.fields import Repeated
from slate.feedback.endpoint.schema import FIELDS
from slate.feedback.queue import QUARANTINE, Queue

_log = logging.getLogger(__name__)

_LONGEST_RECORD: Final = 2000
_LONGEST_VALUE: Final = 200
_LONGEST_REASON: Final = 500
_EXPOSURE: Final = "exposure_id"
#: What stands for a value that might be anything, a secret too.
_HIDDEN: Final = "..."


class Quarantine:
    """Keeps the malformed in a stream of their own; what that has no room for is counted."""

    def __init__(self, queue: Queue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self.dropped = 0

    def put(self, found: Sequence[tuple[str, Any]]) -> None:
        """Keep these, each a reason and what came. Never fails."""
        received = isoformat(self._clock.now())
        records = [
            json.dumps(
                {
                    "reason": reason.encode("utf-8", "replace").decode()[:_LONGEST_REASON],
                    "received": received,
                    "record": harmless(raw),
                }
            ).encode()
            for reason, raw in found
        ]
        try:
            self._queue.append(QUARANTINE, records)
        except SlateError as error:
            self.dropped += len(records)
            _log.warning("%d malformed events are not kept: %s", len(records), error)


def harmless(raw: object) -> str:
    """What came as short text: of fields that no event has only the names, of an exposure id no signature.

    >>> harmless({"event": "like", "password": "hunter2"})
    '{"event": "like", "password": "..."}'
    """
    if isinstance(raw, bytes):
        text = json.dumps(raw[:_LONGEST_VALUE].decode("utf-8", "replace"))
    elif isinstance(raw, Repeated):
        text = json.dumps({raw.name[:_LONGEST_VALUE]: _HIDDEN})
    elif isinstance(raw, dict):
        text = json.dumps({name[:_LONGEST_VALUE]: _kept(name, value) for name, value in raw.items()})
    else:
        text = json.dumps(_short(raw))
    return text[:_LONGEST_RECORD]


def _kept(name: str, value: object) -> object:
    if name not in FIELDS:
        return _HIDDEN
    if name == _EXPOSURE and isinstance(value, str):
        return f"{value.rpartition('.')[0][:_LONGEST_VALUE]}.{_HIDDEN}"
    return _short(value)


def _short(value: object) -> object:
    if isinstance(value, str):
        return value[:_LONGEST_VALUE]
    return _HIDDEN if isinstance(value, dict | list) else value
