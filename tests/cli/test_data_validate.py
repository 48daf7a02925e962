import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from slate.cli.main import app
from tests.data.bad_inputs.catalogue import World


def config(world: World) -> str:
    path = world.folder / "shop.yaml"
    path.write_text(yaml.safe_dump({"dataset": world.config}))
    return str(path)


def test_sound_data(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "validate", "--config", config(World(tmp_path)), "--strict"])
    assert result.exit_code == 0, result.output
    assert "interactions: 120 rows in, 120 out; dropped: none" in result.output
    assert "checks passed" in result.output


def test_warnings_pass_unless_strict(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.change(3, {4: "nan"})
    arguments = ["data", "validate", "--config", config(world)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "120 rows in, 119 out; dropped: non_finite_value 1" in result.output
    assert "1 warnings, and --strict was asked" in str(
        CliRunner().invoke(app, [*arguments, "--strict"]).exception
    )


def test_an_error_is_shown_and_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.change(0, {3: ""})
    page = tmp_path / "report.html"
    arguments = ["data", "validate", "--config", config(world), "--html", str(page)]
    result = CliRunner().invoke(app, arguments)
    assert "null_user_id" in result.output
    assert str(result.exception) == f"dataset shop: refused by null_user_id; the report is {page}"
    assert "Refused" in page.read_text()
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert [f["name"] for f in found["findings"]] == ["null_user_id"]
