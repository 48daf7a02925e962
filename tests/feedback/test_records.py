"""Whatever lies in a stream is read, or put aside with a reason: nothing else happens."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slate.errors import DataError
from slate.feedback.batches import (
    EVENTS,
    EXPOSURES,
    OUTCOMES,
    QUARANTINE,
    SCHEMAS,
    Batch,
    events_batch,
    exposures_batch,
    parsed_events,
    quarantine_batch,
)
from slate.feedback.queue import Entry
from slate.feedback.records import parse_event
from slate.feedback.tables import parquet
from tests.feedback.written import event, exposure

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800")
_values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _mutated(record: bytes) -> st.SearchStrategy[bytes]:
    fields: dict[str, Any] = json.loads(record)

    def change(name: str, value: Any) -> bytes:
        return json.dumps(fields | {name: value}).encode()

    return st.builds(change, st.sampled_from([*fields, "value", "rollout_id", "bucket"]), _values)


_events = _mutated(event("e1", exposure_id="x1")) | _mutated(event("e2"))
_exposures = _mutated(exposure("x1")) | _values.map(lambda value: exposure("x2", items=["pen"], items_=value))
_items = _values.map(
    lambda value: json.dumps(json.loads(exposure("x")) | {"items": [{"item_id": value}]}).encode()
)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=50) | _events | _exposures | _items, max_size=6))
def test_any_records_become_tables(records: list[bytes]) -> None:
    entries = [Entry(place, record) for place, record in enumerate(records, start=1)]
    events = events_batch("s", entries, parsed_events(entries), {})
    shown = exposures_batch(EXPOSURES, "s", entries)
    refused = quarantine_batch("s", entries)
    assert events.count(EVENTS) + events.count(QUARANTINE) == len(records)
    assert events.count(OUTCOMES) <= events.count(EVENTS)
    assert shown.count(EXPOSURES) + shown.count(QUARANTINE) <= len(records)
    assert refused.count(QUARANTINE) == len(records)
    for batch in (events, shown, refused):
        assert _bytes(batch) == _bytes(batch)


def _bytes(batch: Batch) -> list[bytes]:
    return [parquet(SCHEMAS[folder], rows) for (folder, _), rows in batch.rows.items()]


@settings(deadline=None, max_examples=40)
@given(_mutated(event("e1", exposure_id="x1")))
def test_what_is_accepted_is_what_was_sent(record: bytes) -> None:
    try:
        found = parse_event(record)
    except DataError:
        return
    sent = json.loads(record)
    assert (found.event_id, found.user_id, found.item_id) == (
        sent["event_id"],
        sent["user_id"],
        sent["item_id"],
    )
    assert found.value == sent.get("value")
    assert (found.shown is None) == sent["organic"]
