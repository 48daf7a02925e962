import json
from typing import Any

import pytest
from typer.testing import CliRunner

from slate.cli.main import app, main
from slate.errors import ConfigError

AT = ["--at", "2024-06-01T00:00:00"]


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["recommend", *arguments, *AT])


def test_a_slate_shows_titles_and_the_release(tiny: Any) -> None:
    result = invoke("--history", "x", "--store", tiny.store)
    assert result.exit_code == 0
    assert "The <" in result.output
    assert tiny.release_id in result.output
    assert "not in this release: x" in result.output


def test_json_is_for_machines(tiny: Any) -> None:
    result = invoke("p1", "-k", "3", "--store", tiny.store, "--json")
    answer = json.loads(result.output)
    assert answer["release_id"] == tiny.release_id
    assert len(answer["items"]) == 3


def test_explain_shows_what_each_stage_did(tiny: Any) -> None:
    result = invoke("p1", "--store", tiny.store, "--explain", "--context", "surface=tv")
    assert "removed, seen" in result.output
    assert "retrieval" in result.output


def test_nobody_asked_is_an_error(tiny: Any) -> None:
    assert isinstance(invoke("--store", tiny.store).exception, ConfigError)
    wrong = invoke("p1", "--store", tiny.store, "--context", "tv")
    assert "name=value" in str(wrong.exception)


def test_the_command_ends_with_one_line_and_the_errors_status(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["slate", "recommend", "p1", "--store", "/nowhere/at/all"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 5
    error = capsys.readouterr().err
    assert error.startswith("error: channel stable: is empty")
    assert "Traceback" not in error
    monkeypatch.setattr("sys.argv", ["slate", "recommend", "p1", "--store", "/nowhere/at/all", "--debug"])
    with pytest.raises(Exception, match="channel stable: is empty"):
        main()
