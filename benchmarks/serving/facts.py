"""Where and when something was measured."""

import datetime
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.serving.contenders import CONTENDERS
from benchmarks.serving.drive import Bench
from benchmarks.serving.environments import ROOT, python_of, version_of


def gather(bench: Bench, command: str, names: Sequence[str]) -> dict[str, Any]:
    """The machine, the versions, the command and the date."""
    versions = {name: _version(name) for name in ("ai-edge-litert", "scann", "numpy", "uvicorn", "uvloop")}
    for name in names:
        contender = CONTENDERS[name]
        if contender.peer is None:
            versions[contender.package] = _version(contender.package)
        elif python_of(contender.peer, bench.cache).exists():
            versions[contender.package] = version_of(
                python_of(contender.peer, bench.cache), contender.package
            )
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "server_core": bench.server_core,
        "generator_core": bench.generator_core,
        "deadline_ms": bench.deadline_ms,
        "versions": versions,
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "?"


def _revision() -> str:
    words = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "an unknown processor"
