import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slate.clock import ManualClock
from slate.errors import ConflictError, DataError
from slate.steps.record_outcome import record_outcome

CLOCK = ManualClock(datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC))
OFF = {"enabled": False}
FAILED = {
    "state": "FAILED",
    "pipeline_job_resource_name": "namespaces/ml/runs/training-x7k2p",
    "error_code": 1,
    "error_message": "out of memory",
}


def read(store: Path, name: str) -> dict[str, object]:
    record: dict[str, object] = json.loads((store / "runs" / f"{name}.json").read_text())
    return record


def test_the_record_says_how_the_run_ended(tmp_path: Path) -> None:
    record_outcome(str(tmp_path), "run-1", "", FAILED, OFF, CLOCK)
    assert read(tmp_path, "run-1") == {
        "schema": 1,
        "run_id": "run-1",
        "state": "FAILED",
        "job": "namespaces/ml/runs/training-x7k2p",
        "error_code": 1,
        "error_message": "out of memory",
        "at": "2026-11-21T03:04:05.000000Z",
    }


def test_a_scheduled_run_takes_the_name_of_its_job(tmp_path: Path) -> None:
    record_outcome(str(tmp_path), "", "8c1f-uuid", FAILED, OFF, CLOCK)
    assert read(tmp_path, "8c1f-uuid")["state"] == "FAILED"


def test_a_retry_keeps_the_first_record(tmp_path: Path) -> None:
    record_outcome(str(tmp_path), "run-1", "", {"state": "SUCCEEDED"}, OFF, CLOCK)
    later = ManualClock(datetime(2026, 11, 21, 9, 0, tzinfo=UTC))
    record_outcome(str(tmp_path), "run-1", "", {"state": "SUCCEEDED"}, OFF, later)
    assert read(tmp_path, "run-1")["at"] == "2026-11-21T03:04:05.000000Z"


def test_two_ends_of_one_run_are_refused(tmp_path: Path) -> None:
    record_outcome(str(tmp_path), "run-1", "", {"state": "SUCCEEDED"}, OFF, CLOCK)
    with pytest.raises(ConflictError, match=r"already records SUCCEEDED .* now FAILED"):
        record_outcome(str(tmp_path), "run-1", "", FAILED, OFF, CLOCK)


@pytest.mark.parametrize(
    ("run_id", "status"), [("", {"state": "FAILED"}), ("run-1", {}), ("run-1", {"state": None})]
)
def test_a_record_without_name_or_state_is_refused(
    tmp_path: Path, run_id: str, status: dict[str, object]
) -> None:
    with pytest.raises(DataError, match="lacks a state or a name"):
        record_outcome(str(tmp_path), run_id, "", status, OFF)
    assert not (tmp_path / "runs").exists()
