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


def test_groups_are_compared_with_all_others(tiny: Any) -> None:
    shown = CliRunner().invoke(app, ["evaluate", "--store", tiny.store])
    told = CliRunner().invoke(app, ["evaluate", "--store", tiny.store, "--json"])
    groups = json.loads(told.output)["fairness"]["users"]
    assert [group["name"] for group in groups] == ["region: north", "region: south"]
    for group in groups:
        assert f"{group['differences']['ndcg@5']['value']:+.4f}" in shown.output
    assert "Users by group, against all others" in shown.output
    assert "Items by group" not in shown.output
