"""A configuration to search, small enough to train in a second."""

from pathlib import Path
from typing import Any

import pytest

from slate.config import SlateConfig, parse_config


@pytest.fixture
def searched() -> Any:
    """A function that gives a configuration whose section ``tuning`` is the given one."""

    def make(**tuning: Any) -> SlateConfig:
        return parse_config(
            {
                "dataset": {"name": "tiny", "interactions": {"path": "events.csv"}},
                "retrieval": {"dim": 16, "heads": 2, "epochs": 6, "learning_rate": 0.01},
                "tuning": tuning,
            }
        )

    return make


@pytest.fixture(scope="session")
def visible(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The splits of the tiny world as trials get them."""
    from slate.tuning.prepare import without_test

    out = tmp_path_factory.mktemp("visible") / "splits"
    without_test(tiny.folders["splits"], out)
    return out
