import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from slate.cli.main import app
from slate.errors import ConfigError, DataError
from tests.data.bad_inputs.catalogue import World


def describe(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["data", "describe", *arguments])


def test_raw_files_before_there_is_a_configuration(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.change(3, {4: "many"})
    result = describe(str(tmp_path / "events.csv"), str(tmp_path / "items.csv"))
    assert result.exit_code == 0, result.output
    assert "120 rows, 6 columns" in result.output
    assert "timestamp in s" in result.output
    said = " ".join(result.output.split())
    assert "are no number" in said
    assert "slate data init" in said
    (events, items) = json.loads(
        describe(str(tmp_path / "events.csv"), str(tmp_path / "items.csv"), "--json").output
    )
    assert (events["rows"], items["rows"]) == (120, 10)
    assert [c["odd"] for c in events["columns"] if c["odd"]] == ["1 of 120 values are no number"]


def test_an_infinite_value_is_counted(tmp_path: Path) -> None:
    World(tmp_path).change(4, {4: "inf"})
    (events,) = json.loads(describe(str(tmp_path / "events.csv"), "--json").output)
    assert [c["odd"] for c in events["columns"] if c["odd"]] == ["1 values are infinite"]


def test_a_described_data_set_and_its_page(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.change(3, {4: "nan"})
    config = tmp_path / "shop.yaml"
    config.write_text(yaml.safe_dump({"dataset": world.config}))
    page = tmp_path / "page.html"
    result = describe("--config", str(config), "--html", str(page))
    assert result.exit_code == 0, result.output
    assert "non_finite_value" in result.output
    assert "interactions 119" in result.output
    assert "non_finite_value" in page.read_text()
    found = json.loads(describe("--config", str(config), "--json").output)
    assert found["statistics"]["interactions"]["events"] == {"buy": 24, "view": 95}
    assert found["findings"][0]["count"] == 1


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"a,b\n\xff\xfe\n"])
def test_a_file_that_cannot_be_read_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    error = describe(str(path)).exception
    assert isinstance(error, DataError)
    assert "broken.csv" in str(error) or "dataset.interactions" in str(error)


def test_files_and_a_configuration_are_two_things(tmp_path: Path) -> None:
    assert isinstance(describe("x.csv", "--html", "y.html").exception, ConfigError)
