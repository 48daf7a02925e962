import itertools
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.config import Parameter, TuningConfig
from slate.errors import ConfigError
from slate.tuning.space import (
    applied,
    check,
    distribution,
    given_values,
    grid,
    holds,
    labelled,
    unlabelled,
)

LR = {"low": 0.001, "high": 0.1, "log": True}


@pytest.mark.parametrize(
    ("tuning", "words"),
    [
        ({"space": {"retrieval.dims": {"choices": [8]}}}, ["retrieval.dims", "no such key", "dim, blocks"]),
        ({"space": {"gate.min_users": {"choices": [8]}}}, ["gate.min_users", "retrieval.…"]),
        ({"space": {"dim": {"choices": [8]}}}, ["dim", "no such key"]),
        ({"space": {"retrieval.dim": {"low": 32, "high": 8}}}, ["32 is not below 8"]),
        ({"space": {"retrieval.dim": {"low": 8}}}, ["retrieval.dim", "low and high"]),
        ({"space": {"retrieval.dim": {}}}, ["retrieval.dim", "choices"]),
        ({"space": {"retrieval.dim": {"choices": []}}}, ["retrieval.dim.choices"]),
        ({"space": {"retrieval.dim": {"choices": [8, 8]}}}, ["twice"]),
        ({"space": {"retrieval.dim": {"choices": [8], "low": 1}}}, ["choices go without low"]),
        ({"space": {"retrieval.dim": {"low": 8, "high": 16.5}}}, ["whole numbers", "16.5"]),
        ({"space": {"retrieval.dropout": {"low": 0, "high": 0.5, "log": True}}}, ["above 0", "low is 0"]),
        ({"space": {"retrieval.dropout": {"low": 0.1, "high": 0.5, "step": -1}}}, ["step", "-1"]),
        ({"space": {"retrieval.dropout": {"low": 0.1, "high": float("inf")}}}, ["high", "finite"]),
        ({"space": {"retrieval.learning_rate": LR | {"step": 0.1}}}, ["log goes without step"]),
        ({"space": {"retrieval.dropout": {"low": 0.1, "high": 0.5, "step": 1}}}, ["leaves the range"]),
        ({"space": {"retrieval.loss": {"low": 1, "high": 2}}}, ["retrieval.loss", "no number"]),
        ({"space": {"ranking.dim": {"choices": [8]}}}, ["ranking.dim", "objective: ranking"]),
        (
            {"objective": "ranking", "space": {"retrieval.dim": {"choices": [8]}}},
            ["retrieval.dim", "objective: retrieval"],
        ),
        ({"space": {"retrieval.seed": {"choices": [1, 2]}}}, ["retrieval.seed", "judged"]),
        ({"space": {"retrieval.validation_targets": {"choices": [1, 2]}}}, ["judged"]),
        ({"objective": "ranking", "space": {"ranking.candidates": {"choices": [1, 2]}}}, ["judged"]),
        ({"objective": "ranking", "space": {"ranking.negatives": {"choices": [4, 8]}}}, ["pruner: none"]),
        ({"sampler": "grid", "space": {"retrieval.learning_rate": LR}}, ["retrieval.learning_rate", "step"]),
        (
            {"sampler": "grid", "space": {"retrieval.dropout": {"low": 0.1, "high": 0.5}}},
            ["retrieval.dropout", "choices or a step"],
        ),
        ({"space": {}}, ["tuning.space"]),
        ({"sampler": "annealing"}, ["tuning.sampler", "annealing", "'tpe'"]),
        ({"trials": 0}, ["tuning.trials"]),
    ],
)
def test_an_impossible_space_is_refused(searched: Any, tuning: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        searched(**tuning)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"retrieval.dim": {"choices": [16, 17]}}, ["multiple of heads", "retrieval.dim=17"]),
        ({"retrieval.dim": {"low": 16, "high": 20}}, ["17 is not one of 2"]),
        ({"retrieval.dim": {"choices": [12, 16]}, "retrieval.heads": {"choices": [2, 8]}}, ["heads=8"]),
        ({"retrieval.dropout": {"low": 0.5, "high": 1.0}}, ["dropout", "less than 1"]),
        ({"retrieval.loss": {"choices": ["full", "half"]}}, ["loss", "half"]),
        ({"retrieval.dim": {"choices": [[8, 8]]}}, ["dim"]),
        # Too many combinations to try all: the ends are still among those tried.
        (
            {
                "retrieval.dim": {"low": 16, "high": 1000, "step": 2},
                "retrieval.history": {"low": 10, "high": 90},
                "retrieval.dropout": {"low": 0.5, "high": 1.0},
            },
            ["dropout"],
        ),
    ],
)
def test_values_that_their_section_refuses_are_found_before_any_trial(
    searched: Any, space: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as refused:
        check(searched(space=space))
    for word in [*words, "tuning.space", "narrow"]:
        assert word in str(refused.value)


def test_a_combination_is_judged_as_a_whole(searched: Any) -> None:
    check(searched(space={"retrieval.dim": {"choices": [15, 30]}, "retrieval.heads": {"choices": [3, 5]}}))


def test_every_objective_has_a_space_of_its_own(searched: Any) -> None:
    for objective in ("retrieval", "ranking"):
        config = searched(objective=objective)
        assert {key.split(".")[0] for key in config.tuning.space} == {objective}
        check(config)


def test_a_key_may_stand_below_its_section(searched: Any) -> None:
    nested = searched(space={"retrieval": {"dim": {"choices": [8, 16]}}})
    assert nested == searched(space={"retrieval.dim": {"choices": [8, 16]}})


def test_a_written_space_reads_back(searched: Any) -> None:
    for objective in ("retrieval", "ranking"):
        tuning = searched(objective=objective).tuning
        assert TuningConfig.model_validate(tuning.model_dump(mode="json")) == tuning
    assert tuning.model_dump(mode="json")["space"]["ranking.dim"] == {"choices": [16, 32, 64]}


def test_whole_and_broken_numbers_follow_the_key(searched: Any) -> None:
    space = searched(
        space={
            "retrieval.blocks": {"low": 1, "high": 3},
            "retrieval.dropout": {"low": 0, "high": 0.5, "step": 0.2},
        }
    ).tuning.space
    assert space["retrieval.blocks"].points() == [1, 2, 3]
    assert space["retrieval.dropout"].points() == [0.0, 0.2, 0.4]
    assert distribution(space["retrieval.dropout"]) == optuna.distributions.FloatDistribution(
        0, 0.4, step=0.2
    )


def test_a_grid_is_every_combination_once_in_an_order_by_seed(searched: Any) -> None:
    space = searched(
        sampler="grid",
        space={"retrieval.dim": {"choices": [8, 16]}, "retrieval.blocks": {"low": 1, "high": 3}},
    ).tuning.space
    points = grid(space, 1)
    pairs = [(point["retrieval.dim"], point["retrieval.blocks"]) for point in points]
    assert sorted(pairs) == sorted(itertools.product([8, 16], [1, 2, 3]))
    assert points == grid(space, 1)
    assert points != grid(space, 2)


def test_lists_travel_as_text(searched: Any) -> None:
    config = searched(
        objective="ranking",
        space={"ranking.hidden": {"choices": [[64], [128, 64]]}, "ranking.dropout": {"choices": [0.1]}},
    )
    space, values = config.tuning.space, given_values(config)
    assert values == {"ranking.hidden": [128, 64], "ranking.dropout": 0.1}
    assert holds(space, values)
    assert labelled(space, values)["ranking.hidden"] == "[128, 64]"
    assert unlabelled(space, labelled(space, values)) == values


def test_values_go_to_their_sections_and_nowhere_else() -> None:
    sections = {"retrieval": {"dim": 8, "heads": 1}, "ranking": {"dim": 4}}
    changed = applied(sections, {"retrieval.dim": 32})
    assert changed == {"retrieval": {"dim": 32, "heads": 1}, "ranking": {"dim": 4}}
    assert sections["retrieval"]["dim"] == 8


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(0.001, 1),
    width=st.floats(0.001, 10),
    step=st.one_of(st.none(), st.floats(0.001, 1)),
    log=st.booleans(),
    seed=st.integers(0, 100),
)
def test_what_is_proposed_lies_in_the_space(
    low: float, width: float, step: float | None, log: bool, seed: int
) -> None:
    step = None if log or step is None else min(step, width / 2)
    parameter = Parameter(low=low, high=low + width, step=step, log=log)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    proposed = study.ask({"key": distribution(parameter)}).params["key"]
    assert low <= proposed <= low + width * (1 + 1e-9)
    assert holds({"key": parameter}, {"key": proposed})
    read = unlabelled({"key": parameter}, {"key": proposed})["key"]
    assert read == pytest.approx(proposed)
    points = parameter.points()
    assert points is None or read in points
    assert not holds({"key": parameter}, {"key": low + 2 * width})
