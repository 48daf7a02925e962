"""From a checked event to the record in the queue, and the id by which it counts once."""

import hashlib
import json
from datetime import datetime

from slate.clock import isoformat
from slate.feedback.endpoint.attribution import facts
from slate.feedback.endpoint.fields import SCHEMA
from slate.feedback.endpoint.schema import Checked
from slate.feedback.signing import Shown


def record_of(event: Checked, shown: Shown | None, received: datetime) -> bytes:
    """The record as JSON, the one spelling that the consumer reads."""
    record: dict[str, object] = {
        "schema": SCHEMA,
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "event": event.event,
        "timestamp": isoformat(event.timestamp),
        "received": isoformat(received),
        "organic": shown is None,
    }
    if event.value is not None:
        record["value"] = event.value
    if shown is not None:
        record["exposure_id"] = event.exposure_id
        record["shown"] = facts(shown)
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def identity(event: Checked, shown: Shown | None, producer: str) -> str:
    """What makes two events the same.

    An outcome is one event on one item of one slate, whatever event id it comes with: a replayed exposure id
    counts once, and nobody can take the place of another's outcome without its exposure id. An organic event
    is the event id of one producer for one user, so that guessing ids suppresses nothing of other producers.
    """
    if shown is None:
        parts = ["organic", producer, event.user_id, event.event_id]
    else:
        parts = ["outcome", shown.nonce, event.user_id, event.item_id, event.event]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
