"""``slate run --pipeline batch``: the whole of it through kfp.local, and what it refuses."""

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.feedback.sqlite_state import SqliteState
from slate.recommend.precompute.form import unpacked
from tests.conftest import TinyRun


def command(folder: Path, *words: str) -> list[str]:
    places = ["--store", str(folder / "store"), "--workdir", str(folder / "work")]
    chosen = ("batch.active_days=100000", "batch.items=7", f"feedback.state={folder / 'state.db'}")
    return [
        "run",
        "--pipeline",
        "batch",
        *places,
        *(word for one in chosen for word in ("--set", one)),
        *words,
    ]


def test_slates_of_everybody_through_kfp(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLATE_REDIS_URL", raising=False)
    shutil.copytree(tiny.store, tmp_path / "store", copy_function=os.link)
    state = SqliteState(tmp_path / "state.db")
    state.put_slates("of-another-release", {"p1": b"[]"}, 3600.0)
    done = CliRunner().invoke(app, command(tmp_path, "--json"))
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["status"] == "succeeded"
    assert told["metrics"]["users"] == told["metrics"]["slates"] + told["metrics"].get("skipped_inactive", 0)
    assert told["metrics"]["slates"] > 200
    assert told["metrics"]["dropped"] == 1
    kept = state.slate(tiny.release_id, "p1")
    assert kept is not None
    assert len(unpacked(kept.slate)) == 7
    assert "Partitions" in Path(told["report"]).read_text(encoding="utf-8")
    record = json.loads((tmp_path / "store/runs" / f"{told['run_id']}.json").read_text(encoding="utf-8"))
    assert record["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--partition", "2/2"], "is not i/n"),
        (["--if-due"], "--if-due: means nothing to the batch pipeline"),
        (["--rollout", "--no-cache"], "--rollout, --no-cache"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, command(tmp_path, *words))
    assert done.exit_code
    assert said in str(done.exception)


def test_a_partition_of_another_pipeline_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "--store", str(tmp_path), "--partition", "0/2"])
    assert "use it with --pipeline batch" in str(done.exception)
