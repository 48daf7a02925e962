"""A folder is prepared once, and whoever finds it later knows what is in it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.errors import ConfigError, SlateError
from slate.release.channels import read_channel
from slate.simulation.prepare import Prepared, prepare, read_prepared
from slate.simulation.recipe import Recipe
from slate.simulation.releases import Candidate
from slate.simulation.settings import read_settings
from slate.storage import open_store
from tests.conftest import TinyRun
from tests.simulation.test_releases import CODE, kept


@pytest.fixture
def prepared(tiny: TinyRun, tmp_path: Path) -> Prepared:
    settings = read_settings(quick=True, users=200)
    kept(tiny, Recipe.of(settings, 4, "whole"), tmp_path / "cache", 2.0)
    return prepare(settings, Candidate.BROKEN, tmp_path / "run", seed=4, code=CODE, cache=tmp_path / "cache")


def test_what_was_prepared_is_found_again(prepared: Prepared, tmp_path: Path) -> None:
    assert read_prepared(tmp_path / "run") == prepared
    channel = read_channel(open_store(prepared.store), "stable")
    assert channel is not None
    assert channel.release_id == prepared.releases.stable
    config = prepared.config(["rollout.objective=non_inferiority"])
    assert config.rollout.objective == "non_inferiority"
    assert config.dataset.events["like"].weight == 1.0
    assert len(prepared.world().tastes.users) == 200


def test_a_folder_is_not_prepared_twice_and_an_empty_one_is_none(prepared: Prepared, tmp_path: Path) -> None:
    settings = read_settings(quick=True)
    with pytest.raises(ConfigError, match="lies there already"):
        prepare(settings, Candidate.SAME, prepared.folder, seed=4, code=CODE, cache=tmp_path / "cache")
    with pytest.raises(ConfigError, match="slate simulate --prepare"):
        read_prepared(tmp_path)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--candidate", "best"), "known are better, worse"),
        (("--url", "http://127.0.0.1:1"), "name the --folder"),
        (("--url", "http://127.0.0.1:1", "--folder", "run"), "a broken candidate needs a stack of its own"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(
    prepared: Prepared, options: tuple[str, ...], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder.parent)
    result = CliRunner().invoke(app, ["simulate", *options])
    assert isinstance(result.exception, SlateError)
    assert problem in str(result.exception)
