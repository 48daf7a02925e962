"""A finished tiny run, and what is needed to record it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slate.config import TrackingConfig
from slate.steps.open_run import open_run
from slate.steps.register_release import register_release
from slate.steps.track import track
from slate.tracking.attempt import client
from tests.conftest import TinyRun


@dataclass(frozen=True)
class Recorder:
    """The tracking steps over the artefacts of the tiny run, against one address."""

    tiny: TinyRun
    store: str
    tracking: dict[str, Any]

    def open(self, run_id: str, **sections: Any) -> str:
        known = {n: s for n, s in self.tiny.config.items() if n not in ("tracking", "tuning")}
        return open_run(self.tracking, run_id, "", {**known, **sections}, "data-1", "code-1", self.store)

    def track(self, run_id: str, verdict: Path | None = None) -> str:
        at = self.tiny.folders
        return track(
            self.tracking,
            run_id,
            "",
            at["dataset"],
            at["two_tower"],
            at["ranker"],
            at["evaluation"],
            verdict or at["verdict"],
            at["report"].with_name("validation.html"),
            at["report"].with_name("no drift yet.html"),
            at["report"],
        )

    def register(self, run_id: str) -> str:
        return register_release(self.tracking, run_id, "", self.store, self.tiny.release_id)

    @property
    def config(self) -> TrackingConfig:
        return TrackingConfig.model_validate(self.tracking)


@pytest.fixture(autouse=True)
def _mlflow_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test sets, or lets be set, in MLflow's environment ends with it."""
    for name in ("URI", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name in ("TIMEOUT", "MAX_RETRIES"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables made, which takes a second, to be copied."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    client(f"sqlite:///{path}", 5.0)
    return path


@pytest.fixture
def recorder(tiny: TinyRun, tmp_path: Path, empty_database: Path) -> Recorder:
    """A recorder into a new database, and a store of its own that holds the tiny release."""
    store = tmp_path / "store"
    shutil.copytree(tiny.store, store)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    tracking = {"uri": f"sqlite:///{tmp_path / 'mlflow.db'}", "experiment": "tiny", "model": "tiny"}
    return Recorder(tiny, str(store), tracking)
