"""When an incremental run is due."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.config import SlateConfig
from slate.errors import ConfigError
from slate.steps.champion import Champion, open_champion
from slate.steps.triggers import DRIFT, SCHEDULE, VOLUME, due
from tests.steps.test_incremental import new_events, write_log

OFF = {"every_h": None, "interactions": None, "drift_interactions": None}


@pytest.fixture
def store(tiny: Any, tmp_path: Path) -> str:
    """The tiny release in a store of its own, without a log."""
    shutil.copytree(tiny.store, tmp_path / "store")
    return str(tmp_path / "store")


@pytest.fixture
def live(tiny: Any) -> Champion:
    found = open_champion(tiny.store, tiny.release_id)
    assert found is not None
    return found


def config(tiny: Any, **triggers: Any) -> SlateConfig:
    return SlateConfig.model_validate({**tiny.config, "incremental": {"triggers": {**OFF, **triggers}}})


def log(store: str, live: Champion) -> int:
    """Put the newcomers' events into the log; how many there are."""
    events = new_events(datetime.fromisoformat(live.manifest.dataset.watermark))
    write_log(store, events)
    return len(events)


def made(live: Champion) -> datetime:
    return datetime.fromisoformat(live.manifest.created_at)


def test_without_anything_new_nothing_is_due_however_old_the_release(
    tiny: Any, store: str, live: Champion, tmp_path: Path
) -> None:
    everything = config(tiny, every_h=1, interactions=1, drift_interactions=1)
    found = due(everything, store, tiny.release_id, tmp_path, made(live) + timedelta(days=900))
    assert not found
    assert (found.interactions, found.hours) == (0, 900 * 24)


def test_time_and_volume_each_suffice_from_their_limit_on(
    tiny: Any, store: str, live: Champion, tmp_path: Path
) -> None:
    count = log(store, live)
    for triggers, hours, reasons in (
        ({"every_h": 24}, 23.9, set()),
        ({"every_h": 24}, 24.0, {SCHEDULE}),
        ({"interactions": count + 1}, 1.0, set()),
        ({"interactions": count}, 1.0, {VOLUME}),
        ({"interactions": count, "every_h": 1}, 1.0, {SCHEDULE, VOLUME}),
        ({}, 10_000.0, set()),
    ):
        found = due(config(tiny, **triggers), store, "stable", tmp_path, made(live) + timedelta(hours=hours))
        assert set(found.reasons) == reasons, triggers
        assert bool(found) is bool(reasons)
    assert found.interactions == count


def test_a_shift_of_popularity_is_due_once_there_is_enough_to_judge(
    tiny: Any, store: str, live: Champion, tmp_path: Path
) -> None:
    count = log(store, live)
    shifted = due(config(tiny, drift_interactions=count), store, tiny.release_id, tmp_path, made(live))
    assert set(shifted.reasons) == {DRIFT}
    assert "popularity moved by" in shifted.reasons[DRIFT]
    assert "bits; the limit is" in shifted.reasons[DRIFT]
    few = due(config(tiny, drift_interactions=count + 1), store, tiny.release_id, tmp_path, made(live))
    assert not few
    deaf = config(tiny, drift_interactions=1).model_copy(
        update={"drift": tiny_drift(popularity="off", event_mix="off")}
    )
    assert not due(deaf, store, tiny.release_id, tmp_path, made(live))


def tiny_drift(**severities: str) -> Any:
    from slate.config import DriftConfig

    return DriftConfig.model_validate({"severities": severities})


def test_no_live_release_is_said(tiny: Any, tmp_path: Path, live: Champion) -> None:
    with pytest.raises(ConfigError, match="no live release to start from; train in full"):
        due(config(tiny), str(tmp_path / "empty"), "stable", tmp_path, made(live))


def world_file(tiny: Any, folder: Path) -> Path:
    path = folder / "tiny.json.yaml"
    path.write_text(json.dumps(tiny.config), encoding="utf-8")
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["run", "--pipeline", "incremental", *arguments])


def test_the_command_says_what_is_not_due_and_runs_nothing(tiny: Any, store: str, tmp_path: Path) -> None:
    path = str(world_file(tiny, tmp_path))
    answer = run(
        "--config", path, "--store", store, "--workdir", str(tmp_path / "work"), "--if-due", "--json"
    )
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout.splitlines()[-1])
    assert (said["due"], said["interactions"], said["release_id"]) == (False, 0, tiny.release_id)
    assert not (tmp_path / "work" / "runs").exists()


def test_the_command_without_a_live_release_or_without_triggers_says_what_to_do(
    tiny: Any, store: str, tmp_path: Path
) -> None:
    path = str(world_file(tiny, tmp_path))
    for arguments, said in (
        (["--store", str(tmp_path / "empty")], "has no live release to start from"),
        (["--store", store, "--pipeline", "training", "--if-due"], "the training pipeline has no triggers"),
    ):
        answer = run("--config", path, "--workdir", str(tmp_path / "work"), *arguments)
        assert isinstance(answer.exception, ConfigError)
        assert said in str(answer.exception)
