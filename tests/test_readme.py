"""The commands of the README are run, or, where they need a cluster or minutes, parsed."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import slate
from slate.cli.main import app
from slate.steps.open_run import open_run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ slate ")
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ slate ")
]
#: Commands that train, serve or talk to a cluster; other tests do.
PARSED_ONLY = (
    *("run", "tune", "serve", "submit", "schedule", "events", "metrics", "monitor"),
    *("up", "simulate", "nights", "rollout"),
)
#: What commands of the README write and later ones read.
WRITTEN = ("best.yaml",)


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.split()[0] not in PARSED_ONLY])
def test_a_command_of_the_readme_works(
    command: str, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for store in (".slate", ".slate/bookshop"):
        for part in ("releases", "channels"):
            copy_tree(Path(tiny.store) / part, tmp_path / store / part)
    arguments = shlex.split(command, comments=True)
    if arguments[0] == "runs":
        for run in ("20261121T000000-a", "20261121T000001-b"):
            open_run(tracking(tmp_path), run, "", {"dataset": tiny.config["dataset"]}, "d", "c", ".slate")
    named = {"RELEASE": tiny.release_id, "OTHER": tiny.release_id, "RUN": "20261121T000000"}
    release = [named.get(a, a) for a in arguments]
    result = CliRunner().invoke(app, release)
    if arguments[:2] == ["releases", "rollback"]:
        # The store of this test has one release, so there is nowhere to go back to.
        assert "holds nothing older" in str(result.exception)
        return
    if arguments[:2] == ["data", "drift"]:
        # The store of this test holds another data set than the one that is compared.
        assert "schema_changed" in str(result.exception)
        return
    assert result.exit_code == 0, result.output + str(result.exception)
    assert result.output.strip()


def tracking(folder: Path) -> dict[str, Any]:
    """Where ``slate runs`` looks by default."""
    return {"uri": f"sqlite:///{folder}/.slate/mlflow.db", "experiment": "tiny", "model": "tiny"}


def copy_tree(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, copy)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.split()[0] in PARSED_ONLY])
def test_a_command_that_needs_more_is_spelled_right(command: str) -> None:
    name, *arguments = shlex.split(command, comments=True)
    group = typer.main.get_command(app)
    found = group.commands[name]  # type: ignore[attr-defined]
    if hasattr(found, "commands"):
        found = found.commands[arguments.pop(0)]
    options = {option for parameter in found.params for option in parameter.opts}
    assert {a for a in arguments if a.startswith("-")} <= options
    for argument in arguments:
        if argument.endswith(".yaml") and argument not in WRITTEN:
            assert (ROOT / argument).is_file()


def test_the_python_of_the_readme_works(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slate, "open_release", lambda _, opener=slate.open_release: opener(tiny.store))
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out.count("film") == 10


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
