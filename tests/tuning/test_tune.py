"""The search as a function: when nothing finishes, when time is up, when the ranker is searched."""

from pathlib import Path
from typing import Any

import pytest

from slate.config import SlateConfig, parse_config
from slate.errors import ModelError
from slate.tuning.prepare import Prepared
from slate.tuning.trial import State, Trial
from slate.tuning.tune import tune


def config_of(tiny: Any, **changes: dict[str, Any]) -> SlateConfig:
    sections = {name: section for name, section in tiny.config.items() if name != "tuning"}
    return parse_config(
        {**sections, **{name: {**sections.get(name, {}), **c} for name, c in changes.items()}}
    )


def test_when_every_trial_fails_the_error_shows_the_reasons(tiny: Any, visible: Path, tmp_path: Path) -> None:
    config = config_of(
        tiny,
        retrieval={"learning_rate": 1e30},
        tuning={"trials": 2, "space": {"retrieval.dim": {"choices": [8, 16]}}, "sampler": "grid"},
    )
    with pytest.raises(ModelError) as failed:
        tune(config, Prepared(visible, reused=True), tmp_path)
    for said in ("none of 2 trials finished", "the loss became", "retrieval.learning_rate", "(trial 0, 1)"):
        assert said in str(failed.value)


def test_the_ranker_is_searched_behind_one_tower(tiny: Any, visible: Path, tmp_path: Path) -> None:
    config = config_of(
        tiny,
        retrieval={"epochs": 1},
        ranking={"epochs": 2},
        tuning={
            "objective": "ranking",
            "trials": 2,
            "pruner": "none",
            "space": {"ranking.hidden": {"choices": [[8], [16]]}, "ranking.dropout": {"choices": [0.1]}},
            "sampler": "grid",
        },
    )
    told: list[Trial] = []
    search = tune(config, Prepared(visible, reused=True), tmp_path, listener=told.append)
    assert [trial.state for trial in search.trials] == [State.FINISHED] * 2
    assert [trial.values["ranking.hidden"] for trial in search.trials] == [[16], [8]]
    assert len(list((tmp_path / "behind").glob("[!.]*/two_tower"))) == 1
    assert all(0 < (trial.value or 0) <= 1 for trial in search.trials)
    # A listener hears of the beginning, of every epoch and of the end, as plain data.
    assert [(trial.number, trial.state, len(trial.epochs)) for trial in told] == [
        (number, state, epochs)
        for number in (0, 1)
        for state, epochs in (
            (State.RUNNING, 0),
            (State.RUNNING, 1),
            (State.RUNNING, 2),
            (State.FINISHED, 2),
        )
    ]


def test_when_time_is_up_no_trial_begins(tiny: Any, visible: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none of 0 trials finished.*--timeout"):
        tune(config_of(tiny), Prepared(visible, reused=True), tmp_path, timeout=0.0)
