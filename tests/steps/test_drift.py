import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from slate import columns
from slate.cli.main import app
from slate.errors import DataError
from slate.steps.drift import drift
from slate.steps.push_release import push_release


def changed(tiny: Any, folder: Path, file: str, table: pa.Table) -> Path:
    """The tiny data set with one table replaced."""
    shutil.copytree(tiny.folders["dataset"], folder)
    pq.write_table(table, folder / file)
    return folder


def run(
    tiny: Any, tmp_path: Path, dataset: Path, champion: str = "stable", **config: Any
) -> dict[str, float]:
    sections = tiny.sections(drift=config)
    return drift(
        sections["drift"], sections["dataset"], tiny.store, champion,
        dataset, tmp_path / "out", tmp_path / "page.html",
    )  # fmt: skip


def test_the_data_a_release_was_trained_on_has_not_moved(tiny: Any, tmp_path: Path) -> None:
    values = run(tiny, tmp_path, tiny.folders["dataset"])
    assert values["shrunk_table.interactions"] == 0.0
    assert values["feature.items.minutes"] == 0.0
    assert {name for name, value in values.items() if value} == set()
    assert "Steady" in (tmp_path / "page.html").read_text()


def test_without_a_release_there_is_nothing_to_compare_with(tiny: Any, tmp_path: Path) -> None:
    assert run(tiny, tmp_path, tiny.folders["dataset"], champion="") == {}
    assert json.loads((tmp_path / "out" / columns.DRIFT_FILE).read_text())["comparisons"] == []
    assert "Nothing to compare" in (tmp_path / "page.html").read_text()


def test_a_table_that_lost_half_of_its_rows_stops_the_pipeline(tiny: Any, tmp_path: Path) -> None:
    table = pq.read_table(tiny.folders["dataset"] / columns.INTERACTIONS_FILE)
    halved = changed(tiny, tmp_path / "d", columns.INTERACTIONS_FILE, table.slice(0, table.num_rows // 3))
    with pytest.raises(DataError, match=r"shrunk_table of interactions: 0\.66.*incomplete export"):
        run(tiny, tmp_path, halved)
    written = json.loads((tmp_path / "out" / columns.DRIFT_FILE).read_text())
    figures = written["comparisons"][0]["figures"]
    failed = [f["subject"] for f in figures if f["name"] == "shrunk_table" and not f["passed"]]
    assert failed == ["interactions"]
    assert "Stopped" in (tmp_path / "page.html").read_text()


def test_a_column_that_went_stops_the_pipeline_unless_told_otherwise(tiny: Any, tmp_path: Path) -> None:
    table = pq.read_table(tiny.folders["dataset"] / columns.ITEMS_FILE).drop_columns(["genre"])
    poorer = changed(tiny, tmp_path / "d", columns.ITEMS_FILE, table)
    with pytest.raises(DataError, match=r"schema_changed of items: 1 .*genre \(gone\)"):
        run(tiny, tmp_path, poorer)
    values = run(tiny, tmp_path, poorer, severities={"schema_changed": "warning"})
    assert values["schema_changed.items"] == 1.0


def test_earlier_releases_are_compared_with_their_own_parents(tiny: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(tiny.store, store)
    candidate = tmp_path / "next"
    shutil.copytree(tiny.folders["candidate"], candidate)
    path = candidate / "content" / columns.STATISTICS_FILE
    statistics = json.loads(path.read_text())
    statistics["interactions"]["events"] = {"hide": 9_000, "watch": 1_000}
    path.write_text(json.dumps(statistics))
    draft = json.loads((candidate / "draft.json").read_text())
    (candidate / "draft.json").write_text(json.dumps({**draft, "parent": tiny.release_id}))
    newer = push_release(str(store), candidate, tiny.folders["verdict"], "test")
    values = drift(
        tiny.sections()["drift"], tiny.sections()["dataset"], str(store), newer,
        tiny.folders["dataset"], tmp_path / "out", tmp_path / "page.html",
    )  # fmt: skip
    first, second = json.loads((tmp_path / "out" / columns.DRIFT_FILE).read_text())["comparisons"]
    assert (first["parent"], second["release"], second["parent"]) == (newer, newer, tiny.release_id)
    mixes = [
        next(f["value"] for f in comparison["figures"] if f["name"] == "event_mix")
        for comparison in (first, second)
    ]
    assert mixes[0] == pytest.approx(values["event_mix"]) == pytest.approx(mixes[1])
    assert mixes[0] > 0.3


def test_the_command_compares_and_writes_the_page(tiny: Any, tmp_path: Path) -> None:
    config = next(Path(tiny.folders["dataset"]).parent.glob("*.yaml"))
    page = tmp_path / "drift.html"
    arguments = ["data", "drift", "--config", str(config), "--store", tiny.store, "--html", str(page)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "popularity" in result.output
    assert page.is_file()
    machine = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(machine.output)["comparisons"][0]["parent"] == tiny.release_id


@pytest.mark.parametrize(
    "more", [[], ["--by", "all", "--slice", "region"], ["--csv"], ["--slice", "surface"]]
)
def test_the_engagement_command(tiny: Any, more: list[str]) -> None:
    config = next(Path(tiny.folders["dataset"]).parent.glob("*.yaml"))
    result = CliRunner().invoke(app, ["data", "engagement", "--config", str(config), *more])
    assert result.exit_code == 0, result.output
    assert ("north" in result.output) == ("region" in more)


def test_the_engagement_command_names_the_attributes_there_are(tiny: Any) -> None:
    config = next(Path(tiny.folders["dataset"]).parent.glob("*.yaml"))
    result = CliRunner().invoke(app, ["data", "engagement", "--config", str(config), "--slice", "regoin"])
    assert "there are genre, minutes, region, surface" in str(result.exception)
