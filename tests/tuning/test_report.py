"""The page, the written configuration and the words, from searches made up of known trials."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from slate.config import load_config, read_config
from slate.evaluation.intervals import paired_difference
from slate.tuning.best import write_best
from slate.tuning.report import write_report
from slate.tuning.summary import gain
from slate.tuning.trial import State, Trial, best_of
from slate.tuning.tune import Search

SPACE = {
    "retrieval.dim": {"choices": [8, 16]},
    "retrieval.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
}


def trial(number: int, state: State, value: float | None, dim: int = 8, **rest: Any) -> Trial:
    values = {"retrieval.dim": dim, "retrieval.learning_rate": 0.01}
    defaults: dict[str, Any] = {"epochs": (0.1, 0.2), "seconds": 3.0, "reason": "", "baseline": number == 0}
    return Trial(number, state, values, value, **(defaults | rest))


TRIALS = (
    trial(0, State.FINISHED, 0.2, dim=16),
    trial(1, State.FINISHED, 0.31),
    trial(2, State.PRUNED, None),
    trial(3, State.FAILED, None, epochs=(), reason="ModelError: the loss became <nan>"),
    trial(4, State.INTERRUPTED, None, epochs=(), reason="its run was killed"),
)


@pytest.fixture
def search(tmp_path: Path) -> Search:
    values = np.linspace(0, 1, 40)
    difference = paired_difference(values, values**2)
    return Search("s-1", tmp_path, "f" * 64, TRIALS, TRIALS[1], TRIALS[0], difference, {"retrieval.dim": 1.0})


def test_the_page_shows_every_trial_and_every_key(search: Search, searched: Any) -> None:
    page = write_report(search, searched(space=SPACE)).read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    counts = "2 finished, 1 pruned, 1 failed, 1 interrupted"
    for text in ("Trial 1", "0.3100", "looks better than it is", counts, "fANOVA"):
        assert text in page
    assert "the loss became &lt;nan&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    plain = json.loads((search.folder / "trials.json").read_text(encoding="utf-8"))
    assert [entry["state"] for entry in plain] == ["finished", "finished", "pruned", "failed", "interrupted"]
    assert plain[1]["epochs"] == [0.1, 0.2]


def test_a_page_of_one_trial(search: Search, searched: Any) -> None:
    alone = replace(search, trials=TRIALS[:1], best=TRIALS[0], difference=None, importances={})
    page = write_report(alone, searched(space=SPACE)).read_text(encoding="utf-8")
    assert "Kept as it was" in page
    assert "Importance needs three" in page


def test_the_best_is_the_first_with_the_highest_objective() -> None:
    tied = (*TRIALS, trial(5, State.FINISHED, 0.31))
    assert best_of(tied) == TRIALS[1]
    assert best_of(TRIALS[2:]) is None


def test_a_gain_says_what_the_data_can_tell(search: Search) -> None:
    assert search.difference is not None
    assert "+0.1100" in gain(search)
    assert "95% interval" in gain(search)
    assert "chance" not in gain(search)
    unsure = replace(search, difference=replace(search.difference, low=-0.01))
    assert "may be chance" in gain(unsure)
    assert "no trial was better" in gain(replace(search, best=TRIALS[0]))
    assert "no gain to state" in gain(replace(search, baseline=None))


def test_the_written_configuration_is_the_users_own_with_the_best_values(
    search: Search, searched: Any, tmp_path: Path
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    given = home / "mine.yaml"
    given.write_text(
        yaml.safe_dump(
            {
                "dataset": {
                    "name": "é",
                    "interactions": {"path": ["data/a.csv", "b.csv"]},
                    "items": {"path": str(elsewhere / "items.csv")},
                    "users": {"path": "gs://bucket/users.csv"},
                },
                "gate": {"min_users": 7},
            }
        ),
        encoding="utf-8",
    )
    raw = read_config(given, ["ranking.dim=8"])
    out = home / "found" / "best.yaml"
    written = write_best(search, searched(space=SPACE), raw, given, out)
    assert written == load_config(out)
    before = load_config(given, ["ranking.dim=8"])
    assert written.dataset == before.dataset.model_copy(update={"interactions": written.dataset.interactions})
    files = [Path(path).resolve() for path in written.dataset.interactions.path]
    assert files == [home / "data" / "a.csv", home / "b.csv"]
    assert (written.retrieval.dim, written.retrieval.learning_rate) == (8, 0.01)
    assert (written.gate.min_users, written.ranking.dim) == (7, 8)
    text = out.read_text(encoding="utf-8")
    assert "../data/a.csv" in text
    for said in ("s-1", "0.31", "0.2", "2 finished, 1 pruned, 1 failed", "f" * 64, "optimistic"):
        assert said in text
    assert not list(out.parent.glob(".best*"))


def test_where_nothing_was_better_nothing_is_changed(search: Search, searched: Any, tmp_path: Path) -> None:
    given = tmp_path / "mine.yaml"
    given.write_text("dataset: {name: x, interactions: {path: a.csv}}\n", encoding="utf-8")
    kept = replace(search, best=TRIALS[0])
    out = tmp_path / "best.yaml"
    assert write_best(kept, searched(space=SPACE), read_config(given), given, out) == load_config(given)
    assert "no trial was better" in out.read_text(encoding="utf-8")
