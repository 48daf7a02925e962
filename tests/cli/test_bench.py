"""``slate bench`` says what it needs, and hands its options on."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from slate.cli import bench
from slate.cli.main import app
from slate.errors import ConfigError, SlateError


def test_without_a_checkout_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "_ROOT", tmp_path)
    result = CliRunner().invoke(app, ["bench", "serving"])
    assert isinstance(result.exception, ConfigError)
    assert "needs a checkout" in str(result.exception)


def test_options_reach_the_benchmark_and_its_failure_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        seen.append(command)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(bench, "_TASKSET", Path("/"))
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 2)
    given = ["--quick", "--contenders=slate,kserve", "--out=here", "--items", "5000"]
    result = CliRunner().invoke(app, ["bench", "serving", *given])
    assert isinstance(result.exception, SlateError)
    assert "ended with 3" in str(result.exception)
    (command,) = seen
    assert command[1:3] == ["-m", "benchmarks.serving"]
    assert command[3:] == [
        "--contenders=slate,kserve",
        f"--out={Path('here').absolute()}",
        "--items=5000",
        "--quick",
    ]


def test_an_unknown_server_is_refused_by_name() -> None:
    result = subprocess.run(
        [bench.sys.executable, "-m", "benchmarks.serving", "--contenders", "slate,nobody"],
        cwd=bench._ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "nobody: known are slate, kserve, mlserver, bentoml, litserve" in result.stderr
