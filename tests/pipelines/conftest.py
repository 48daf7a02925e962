from pathlib import Path

import pytest

from tests.pipelines.standin import Standin


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """The stand-in steps, on the path of child processes only."""
    return Standin(tmp_path / "standin", monkeypatch)
