import json
from typing import Any

from typer.testing import CliRunner

from slate.cli.main import app


def test_the_table_and_the_json_show_the_same_numbers(tiny: Any) -> None:
    shown = CliRunner().invoke(app, ["evaluate", "--store", tiny.store])
    told = CliRunner().invoke(app, ["evaluate", tiny.release_id, "--store", tiny.store, "--json"])
    record = json.loads(told.output)
    value = record["rankers"]["funnel"]["metrics"]["ndcg@5"]["value"]
    assert f"{value:.4f}" in shown.output
    assert "popularity" in shown.output
    assert "markov was left out" in shown.output
