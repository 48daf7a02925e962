"""The incremental pipeline over stand-in steps: what runs, what is reused, what each step is given."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.incremental import incremental
from pipelines.local import run_pipeline, step_names
from pipelines.results import RunResult
from pipelines.runs import key_of, unfinished
from tests.pipelines.standin import Standin

SECTIONS = (
    "dataset", "split", "retrieval", "index", "ranking", "evaluation", "gate", "recommend", "rollout",
    "drift", "incremental", "tracking",
)  # fmt: skip
STEPS = (
    "open_run",
    "ingest",
    "collect",
    "validate",
    "drift",
    "open_parent",
    "split_since",
    "update_two_tower",
    "build_index",
    "update_ranker",
    "evaluate",
    "gate",
    "track",
    "push_release",
    "register_release",
    "start_rollout",
    "record_outcome",
)
UNCACHED = ["open_run", "drift", "gate", "track", "push_release", "register_release"]


@pytest.fixture
def run(tmp_path: Path, standin: Standin) -> Callable[..., RunResult]:
    """Run the incremental pipeline in one work folder."""

    def go(run_id: str, **changed: Any) -> RunResult:
        return run_pipeline(
            incremental, parameters(tmp_path, run_id) | changed, run_id=run_id, workdir=tmp_path / "work"
        )

    return go


def parameters(folder: Path, run_id: str) -> dict[str, Any]:
    return {
        **{name: {"section": name} for name in SECTIONS},
        "store": str(folder / "store"),
        "champion": "r-0",
        "data_fingerprint": "data-1",
        "log": str(folder / "store"),
        "events_fingerprint": "events-1",
        "code_fingerprint": "code-1",
        "run_id": run_id,
        "checkpoints": "",
        "cache": str(folder / "downloads"),
        "rollout_requested": False,
    }


def test_the_steps_are_those_of_the_design_in_order() -> None:
    assert step_names(incremental) == STEPS


def test_a_release_is_pushed_and_only_what_changed_runs_again(
    run: Callable[..., RunResult], standin: Standin
) -> None:
    first = run("one")
    assert (first.status, first.verdict_status, first.release_id) == ("succeeded", "passed", "r-1")
    assert standin.ran == [step for step in STEPS if step not in ("start_rollout", "record_outcome")]

    run("two")
    assert sorted(standin.ran) == sorted(UNCACHED)

    run("three", events_fingerprint="events-2")
    again = standin.ran
    assert "collect" in again, "the log has grown"
    assert "ingest" not in again, "the data set has not"

    run("four", champion="r-1")
    assert {"open_parent", "split_since", "update_two_tower", "evaluate"} <= set(standin.ran)


def test_a_run_that_fails_is_gone_on_with_from_its_last_step(
    run: Callable[..., RunResult], standin: Standin, tmp_path: Path
) -> None:
    standin.behave(update_ranker={"raise": "ModelError"})
    failed = run("one")
    assert failed.failure is not None
    assert (failed.failure.step, failed.failure.exit_code) == ("update_ranker", 7)
    assert json.loads((tmp_path / "store" / "runs" / "one.json").read_text())["state"] == "FAILED"
    assert standin.ran[-1] == "update_ranker"
    standin.behave()
    assert run("two").status == "succeeded"
    assert {"update_two_tower", "build_index", "open_parent"}.isdisjoint(standin.ran)


def test_another_release_to_start_from_is_another_piece_of_work(tmp_path: Path) -> None:
    keys = {
        key_of("incremental", parameters(tmp_path, "x") | {"champion": champion}, caching=True)
        for champion in ("r-0", "r-1")
    }
    assert len(keys) == 2
    assert unfinished(tmp_path, keys.pop()) is None


def test_the_parent_reaches_every_step_that_starts_from_it(
    run: Callable[..., RunResult], standin: Standin
) -> None:
    run("one")
    given = {call["step"]: str(call["arguments"]) for call in standin.calls()}
    for step in ("split_since", "update_two_tower", "update_ranker"):
        assert "open-parent" in given[step] or "open_parent" in given[step]
        assert "'section': 'incremental'" in given[step]
    for step in ("open_run", "evaluate"):
        assert "'incremental': {'section': 'incremental'}" in given[step], "manifest and tracking name it"
    assert "'r-0'" in given["open_parent"]
    assert "'r-0'" in given["evaluate"]
