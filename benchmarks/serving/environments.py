"""An environment a peer: its own packages beside what a release needs, this project by path."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: What serving a release takes beside the project's own dependencies.
_NEEDED: Final = ("ai-edge-litert==2.*", "scann==1.4.2", "orjson")
_SHOWN: Final = 400


class MissingError(Exception):
    """A peer cannot be measured here; the message says why."""


def python_of(peer: str, cache: Path) -> Path:
    """Where a peer's interpreter is, or would be."""
    return cache / "environments" / peer / "bin" / "python"


def install(peer: str, requirement: str, cache: Path, say: Callable[[str], None]) -> None:
    """Make a peer's environment, unless it is there.

    Raises:
        MissingError: uv is missing, or could not install it.
    """
    python = python_of(peer, cache)
    if python.exists():
        return
    uv = Path(sys.executable).parent / "uv"
    command = str(uv) if uv.exists() else shutil.which("uv")
    if command is None:
        raise MissingError("uv is not installed, so no environment can be made; pip install uv")
    say(f"installing {requirement} and what a release needs into {python.parents[1]}")
    folder = str(python.parents[1])
    needed = [*_NEEDED, requirement]
    for words in (
        ["venv", "--python", sys.executable, folder],
        ["pip", "install", "--python", str(python), "-r", "pyproject.toml", *needed],
    ):
        done = subprocess.run([command, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise MissingError(f"could not be installed beside LiteRT and ScaNN: {done.stderr[-_SHOWN:]}")


def version_of(python: Path, distribution: str) -> str:
    """What is installed in an environment; ``?`` where nothing says."""
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"
