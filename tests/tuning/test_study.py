"""The study by itself: what comes next, what is kept, what is tried again. No model is trained."""

from pathlib import Path
from typing import Any

import pytest

from slate.errors import ConflictError
from slate.tuning.study import Study, opened
from slate.tuning.trial import Outcome, State, Trial, baseline_of, best_of

GRID = {"retrieval.dim": {"choices": [8, 16]}, "retrieval.blocks": {"low": 1, "high": 3}}
WIDE = {"retrieval.learning_rate": {"low": 0.0001, "high": 1.0, "log": True}}


def finished(value: float) -> Outcome:
    return Outcome(State.FINISHED, value)


def run(study: Study, limit: int) -> list[Trial]:
    """End every trial at once, the more blocks or learning rate the better."""
    found = []
    while trial := study.next(limit):
        found.append(study.finish(trial.number, finished(float(sum(map(float, trial.values.values()))))))
    return found


def test_the_configuration_as_given_comes_first(searched: Any, tmp_path: Path) -> None:
    for sampler, space in (("tpe", WIDE), ("random", WIDE), ("grid", GRID)):
        with opened(tmp_path / sampler, searched(sampler=sampler, space=space)) as study:
            first, second = run(study, 2)
        assert (first.baseline, second.baseline) == (True, False)
        given = {"retrieval.learning_rate": 0.01, "retrieval.dim": 16, "retrieval.blocks": 2}
        assert first.values == {key: given[key] for key in space}


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_configuration_outside_the_space_is_still_the_first_trial(
    searched: Any, tmp_path: Path, sampler: str
) -> None:
    space = {"retrieval.dim": {"choices": [32, 64]}, "retrieval.loss": {"choices": ["full", "sampled"]}}
    with opened(tmp_path, searched(sampler=sampler, space=space)) as study:
        while trial := study.next(5):
            study.finish(trial.number, finished(trial.number))
        trials = study.trials
    assert trials[0].values == {"retrieval.dim": 16, "retrieval.loss": "auto"}
    assert all(trial.values["retrieval.dim"] in (32, 64) for trial in trials[1:])
    assert len(trials) == 5


def test_a_grid_tries_every_point_once_and_ends(searched: Any, tmp_path: Path) -> None:
    config = searched(sampler="grid", space=GRID)
    with opened(tmp_path, config) as study:
        begun = [study.next(100) for _ in range(2)]
        for trial in begun:
            assert trial is not None
            study.finish(trial.number, finished(1.0))
    # Another process goes on, and one point fails: a failure is a result too.
    with opened(tmp_path, config) as study:
        third = study.next(100)
        assert third is not None
        study.finish(third.number, Outcome(State.FAILED, reason="ModelError: diverged"))
        run(study, 100)
        trials = study.trials
    tried = [tuple(trial.values.values()) for trial in trials]
    assert sorted(tried) == [(dim, blocks) for dim in (8, 16) for blocks in (1, 2, 3)]
    assert trials[2].reason == "ModelError: diverged"


def test_a_killed_trial_is_marked_and_tried_again_and_does_not_count(searched: Any, tmp_path: Path) -> None:
    config = searched(sampler="random", space=WIDE)
    killed = Study(tmp_path, config)
    run(killed, 2)
    lost = [killed.next(4), killed.next(4)]
    # No interrupt: the process is gone, and what it began is still there.
    with opened(tmp_path, config) as study:
        assert [trial.state for trial in study.trials[2:]] == [State.INTERRUPTED] * 2
        again = run(study, 4)
        trials = study.trials
    assert [trial.values for trial in again] == [trial.values for trial in lost if trial]
    assert len(trials) == 6
    assert sum(trial.state is State.FINISHED for trial in trials) == 4
    with opened(tmp_path, config) as study:
        assert study.next(4) is None


def test_a_killed_baseline_stays_the_baseline(searched: Any, tmp_path: Path) -> None:
    config = searched(space=WIDE)
    Study(tmp_path, config).next(3)
    with opened(tmp_path, config) as study:
        run(study, 3)
        found = baseline_of(study.trials)
    assert found is not None
    assert (found.number, found.state, found.value) == (1, State.FINISHED, 0.01)


def test_an_interrupt_marks_what_runs(searched: Any, tmp_path: Path) -> None:
    config = searched(space=WIDE)

    def interrupted() -> None:
        with opened(tmp_path, config) as study:
            study.next(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with opened(tmp_path, config) as study:
        (trial,) = study.trials
    assert (trial.state, trial.reason) == (State.INTERRUPTED, "the run was interrupted")


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_stopping_in_between_changes_no_proposal(searched: Any, tmp_path: Path, sampler: str) -> None:
    config = searched(sampler=sampler, space=WIDE)
    with opened(tmp_path / "at once", config) as study:
        run(study, 14)
        whole = [trial.values for trial in study.trials]
    for limit in (1, 5, 12, 14):
        with opened(tmp_path / "in parts", config) as study:
            run(study, limit)
            parts = [trial.values for trial in study.trials]
    assert parts == whole
    assert len({value["retrieval.learning_rate"] for value in whole}) == 14


def test_a_bad_trial_is_pruned_and_the_baseline_never(searched: Any, tmp_path: Path) -> None:
    config = searched(space=WIDE, pruner="median")
    with opened(tmp_path, config) as study:
        first = study.next(20)
        assert first is not None
        assert all(study.report(first.number, epoch, 0.0) for epoch in range(1, 7))
        study.finish(first.number, finished(0.0))
        for _ in range(4):
            good = study.next(20)
            assert good is not None
            assert all(study.report(good.number, epoch, 0.1 * epoch) for epoch in range(1, 7))
            study.finish(good.number, finished(0.6))
        bad = study.next(20)
        assert bad is not None
        assert study.report(bad.number, 1, 0.01)
        study.report(bad.number, 2, 0.01)
        study.report(bad.number, 3, 0.01)
        assert not study.report(bad.number, 4, 0.01)
        ended = study.finish(bad.number, Outcome(State.PRUNED))
    assert (ended.state, ended.value, ended.epochs) == (State.PRUNED, None, (0.01, 0.01, 0.01, 0.01))
    assert best_of(study.trials).value == 0.6  # type: ignore[union-attr]


@pytest.mark.parametrize("pruner", ["hyperband", "none"])
def test_other_pruners_judge_the_same_reports(searched: Any, tmp_path: Path, pruner: str) -> None:
    pruned = 0
    with opened(tmp_path, searched(space=WIDE, pruner=pruner, sampler="random")) as study:
        while trial := study.next(16):
            worth = 1.0 / (1 + trial.number)
            going = True
            for epoch in range(1, 7):
                going = going and study.report(trial.number, epoch, worth * epoch)
            study.finish(trial.number, finished(worth) if going else Outcome(State.PRUNED))
            pruned += not going
    assert (pruned > 0) == (pruner == "hyperband")


def test_two_processes_do_not_share_a_study(searched: Any, tmp_path: Path) -> None:
    config = searched(space=WIDE)
    second = opened(tmp_path, config)
    with opened(tmp_path, config), pytest.raises(ConflictError, match="another slate tune"):
        second.__enter__()


def test_importance_finds_the_key_that_decides(searched: Any, tmp_path: Path) -> None:
    config = searched(sampler="grid", space={**GRID, "retrieval.dropout": {"choices": [0.1, 0.3]}})
    with opened(tmp_path, config) as study:
        assert study.importances() == {}
        while trial := study.next(12):
            study.finish(trial.number, finished(trial.values["retrieval.blocks"] + trial.number / 1e4))
        shares = study.importances()
    assert shares["retrieval.blocks"] > 0.9
    assert sum(shares.values()) == pytest.approx(1.0)
