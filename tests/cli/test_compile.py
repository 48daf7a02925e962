from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.compile import compiled
from slate.cli.main import app
from slate.errors import ConfigError

IMAGE = "registry.example/slate@sha256:" + "12" * 32


def test_it_writes_the_file_with_the_named_image(tmp_path: Path) -> None:
    target = tmp_path / "new" / "training.yaml"
    result = CliRunner().invoke(app, ["compile", "-o", str(target), "--image", IMAGE])
    assert result.exit_code == 0
    assert target.read_text() == compiled("training", IMAGE)
    assert f"wrote {target}" in result.stderr


def test_without_a_file_it_prints_yaml_and_warns_of_the_placeholder() -> None:
    result = CliRunner().invoke(app, ["compile"])
    assert yaml.safe_load(result.stdout)["pipelineInfo"]["name"] == "training"
    assert "the placeholder stays, which cannot be pulled" in result.stderr


def test_the_image_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATE_PIPELINE_IMAGE", IMAGE)
    assert IMAGE in CliRunner().invoke(app, ["compile"]).stdout


def test_a_tag_is_refused() -> None:
    result = CliRunner().invoke(app, ["compile", "--image", "registry.example/slate:1.2"])
    assert isinstance(result.exception, ConfigError)
    assert "not pinned by digest" in str(result.exception)
