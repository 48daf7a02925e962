import json
from datetime import UTC, datetime
from pathlib import Path

from slate.clock import ManualClock
from slate.feedback import tables
from slate.feedback.exposure import ExposureLog
from slate.feedback.queue import EXPOSURES, SHADOW_EXPOSURES
from slate.feedback.records import parse_exposure
from slate.feedback.signing import Signer
from slate.feedback.sqlite_queue import SqliteQueue
from slate.feedback.writer import BackgroundWriter
from slate.recommend.request import Assignment, SlateItem

CLOCK = ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))


def test_a_slate_is_signed_and_recorded_as_it_was_shown(tmp_path: Path) -> None:
    queue, signer = SqliteQueue(tmp_path / "q.db"), Signer({"a": b"k" * 32}, CLOCK)
    writer = BackgroundWriter(queue, EXPOSURES)
    log = ExposureLog("stable", signer, writer, CLOCK)
    items = [SlateItem("pen", 0.5, 1, "two_tower"), SlateItem("ink", 0.25, 2, "fresh", 0.1)]
    context = {"device": "phone", "timestamp": datetime(2026, 11, 21, 11, tzinfo=UTC)}
    exposure_id = log.expose("ann", "r-1", "personalised", items, context, 0.0123)
    assert exposure_id is not None
    assert signer.check(exposure_id, "ann", 60).release == "r-1"
    writer.close()
    (entry,) = queue.read(EXPOSURES, 0, 10)
    record = json.loads(entry.record)
    assert record.pop("exposure_id") == exposure_id
    assert record == {
        "schema": 1,
        "timestamp": "2026-11-21T12:00:00.000000Z",
        "user_id": "ann",
        "assigned_variant": "stable",
        "served_variant": "stable",
        "release_id": "r-1",
        "rung": "personalised",
        "latency_ms": 12.3,
        "context": {"device": "phone", "timestamp": "2026-11-21T11:00:00.000000Z"},
        "items": [
            {"item_id": "pen", "score": 0.5, "position": 1, "source": "two_tower", "propensity": 1.0},
            {"item_id": "ink", "score": 0.25, "position": 2, "source": "fresh", "propensity": 0.1},
        ],
    }
    assert log.dropped == 0


def test_nobody_known_is_not_recorded_and_what_cannot_be_is_counted(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "q.db")
    writer = BackgroundWriter(queue, EXPOSURES)
    log = ExposureLog("stable", Signer({"a": b"k" * 32}, CLOCK), writer, CLOCK)
    assert log.expose(None, "r-1", "popular", [], {}, 0.01) is None
    assert log.expose("ann", "r-1", "popular", [], {"device": object()}, 0.01) is not None
    assert ExposureLog("stable", None, writer, CLOCK).expose("ann", "r-1", "popular", [], {}, 0.01) is None
    writer.close()
    assert queue.depth(EXPOSURES) == 0
    assert log.dropped == 1


def test_what_the_gateway_said_is_recorded_and_signed(tmp_path: Path) -> None:
    queue, signer = SqliteQueue(tmp_path / "q.db"), Signer({"a": b"k" * 32}, CLOCK)
    writer = BackgroundWriter(queue, SHADOW_EXPOSURES)
    log = ExposureLog("shadow", signer, writer, CLOCK)
    said = Assignment("candidate", "r-7", "25", 1234, 0.25, "request-1")
    exposure_id = log.expose("ann", "r-2", "popular", [], {}, 0.01, said)
    assert exposure_id is not None
    shown = signer.check(exposure_id, "ann", 60)
    assert (shown.variant, shown.rollout, shown.step, shown.release) == ("candidate", "r-7", "25", "r-2")
    writer.close()
    (entry,) = queue.read(SHADOW_EXPOSURES, 0, 10)
    record = json.loads(entry.record)
    assert (record["assigned_variant"], record["served_variant"]) == ("candidate", "shadow")
    assert {name: record[name] for name in ("rollout_id", "step", "bucket", "allocation", "request_id")} == {
        "rollout_id": "r-7",
        "step": "25",
        "bucket": 1234,
        "allocation": 0.25,
        "request_id": "request-1",
    }
    row = dict(zip(tables.EXPOSURES.names, parse_exposure(entry.record).row, strict=True))
    assert (row["bucket"], row["allocation"], row["request_id"]) == (1234, 0.25, "request-1")
