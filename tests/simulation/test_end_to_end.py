"""Whole rollouts as a person runs them: trained releases, every process of the stack, users over HTTP.

Each rollout ends as the truth asks for. Of times, only that is asserted which the platform promises.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where trained releases are kept between the tests."""
    return tmp_path_factory.mktemp("home")


def simulated(candidate: str, folder: Path, home: Path, *more: str) -> Mapping[str, Any]:
    """``slate simulate`` to its end; what it found."""
    command = [sys.executable, "-m", "slate.cli.main", "simulate", "--candidate", candidate, "--quick"]
    command += ["--json", "--folder", str(folder), "--days", "60", *more]
    kept = os.environ.get("SLATE_SIMULATION_HOME", str(home))
    environment = {**os.environ, "HOME": kept, "TF_CPP_MIN_LOG_LEVEL": "2"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder.parent)
    assert run.stdout, f"{run.stderr[-3000:]}\n{logs(folder)}"
    found: dict[str, Any] = json.loads(run.stdout)
    assert run.returncode == (0 if found["as_expected"] else 1)
    assert found["as_expected"], f"{json.dumps(found['ended'], indent=1)}\n{logs(folder)}"
    return found


#: However busy the machine is, a rollout that has to be decided is.
PATIENT = ("--set", "rollout.limit_s=5000000")


def logs(folder: Path) -> str:
    return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted(folder.rglob("*.log")))


def climbed(found: Mapping[str, Any]) -> list[str]:
    """The steps a rollout went through."""
    return list(dict.fromkeys(move["step"] for move in found["moves"]))


def few_failed(found: Mapping[str, Any]) -> bool:
    """Nobody, but for the gateway's own limit on a machine that has too much to do."""
    return bool(found["users"]["failed"] <= 0.02 * found["users"]["asked"])


@pytest.mark.timeout(1200)
def test_a_crashing_candidate_is_gone_within_ten_seconds(tmp_path: Path, home: Path) -> None:
    found = simulated("broken", tmp_path / "run", home, *PATIENT)
    assert "errors" in found["ended"]["because"]
    assert found["abort_s"] <= 10
    last = found["moves"][-1]
    assert (last["status"], last["threshold"]) == ("aborted", 0)
    assert last["verdict"] is not None
    assert climbed(found) == ["shadow", "20"]
    asked, failed = found["users"]["asked"], found["users"]["failed"]
    assert failed < 0.2 * asked, "only a step's share of users met it"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_better_candidate_is_promoted_and_a_worse_one_aborted(tmp_path: Path, home: Path) -> None:
    better = simulated("better", tmp_path / "better", home, *PATIENT)
    assert climbed(better) == ["shadow", "20", "50"]
    risen = [move for move in better["moves"] if move["status"] in ("canary", "promoting")]
    assert risen
    assert all(move["verdict"] is not None for move in risen)
    assert better["truth"]["lift"] > 0.1
    assert better["ended"]["estimate"]["low"] > 0
    assert few_failed(better)
    worse = simulated("worse", tmp_path / "worse", home, *PATIENT)
    assert worse["truth"]["lift"] < -0.1
    assert few_failed(worse)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_slow_candidate_is_aborted_for_its_latency(tmp_path: Path, home: Path) -> None:
    found = simulated("slow", tmp_path / "slow", home, *PATIENT)
    assert "p99" in found["ended"]["because"]
    assert few_failed(found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("objective", ["superiority", "non_inferiority"])
def test_an_equal_candidate_is_not_called_better(objective: str, tmp_path: Path, home: Path) -> None:
    found = simulated("same", tmp_path / "same", home, "--set", f"rollout.objective={objective}")
    assert found["truth"]["lift"] == 0
    assert climbed(found) == ["shadow", "20", "50"]
    assert few_failed(found)
