"""Three days and nights of the whole loop: every process of the stack, users over HTTP, real pipelines."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nightly_releases_pass_help_and_push_old_slates_out(tmp_path: Path) -> None:
    folder = tmp_path / "nights"
    command = [sys.executable, "-m", "slate.cli.main", "nights", "--days", "3", "--json"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment["HOME"] = os.environ.get("SLATE_SIMULATION_HOME", str(tmp_path / "home"))
    run = subprocess.run(
        [*command, "--folder", str(folder)], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert run.returncode == 0, f"{run.stderr[-3000:]}\n{logs(folder)}"
    nights: list[dict[str, Any]] = json.loads(run.stdout)
    assert [night["day"] for night in nights] == [1, 2, 3]
    for night in nights:
        assert night["verdict"] == "passed"
        assert night["failed_checks"] == []
        assert night["events"] > night["asked"] > 30
        assert night["elsewhere"] > 2000
        assert night["failed"] <= 0.02 * night["asked"]
        assert night["served_by"] == night["release_id"]
        assert night["slates_after"][night["release_id"]] > 500, "the cache is full of the new release"
    assert np.mean([night["quality"]["value"] for night in nights]) > 0, "updates help"
    first = next(iter(nights[0]["slates_before"]))
    assert nights[0]["slates_before"][first] > 500
    releases = [first, *(night["release_id"] for night in nights)]
    for number, night in enumerate(nights):
        after = night["slates_after"]
        assert after[releases[number]] > 0, "a rollback finds the slates of the release before"
        assert not any(after[old] for old in releases[:number]), "of older ones the cache is empty"


def logs(folder: Path) -> str:
    return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted(folder.rglob("*.log")))
