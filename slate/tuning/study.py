"""One study on disk: which trial comes next, what became of each, and what a killed process left behind.

Optuna proposes, prunes and stores; only this process writes, so that SQLite needs no more than its own
transactions. The sampler is seeded anew by every trial's number: a study that goes on after a kill
proposes what it would have proposed.
"""

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from slate.config import Parameter, SlateConfig, TuningConfig
from slate.errors import ConflictError
from slate.tuning.space import distribution, given_values, grid, holds, labelled, unlabelled
from slate.tuning.trial import Outcome, State, Trial

STUDY_FILE: Final = "study.db"
_NAME: Final = "slate"
_BASELINE, _KILLED, _RETRIES, _REASON = "baseline", "interrupted", "retries", "reason"
_STATES: Final = {
    TrialState.COMPLETE: State.FINISHED,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
    TrialState.RUNNING: State.RUNNING,
    TrialState.WAITING: State.RUNNING,
}
_TOLD: Final = {
    State.FINISHED: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
    State.INTERRUPTED: TrialState.FAIL,
}
#: Too little is known before so many trials finished, and the first epochs tell little of the last.
_STARTUP_TRIALS: Final = 4
_WARM_UP_SHARE: Final = 0.25
_FEWEST_EPOCHS: Final = 2
_FEWEST_FOR_IMPORTANCE: Final = 3


class Study:
    """The trials of one search. Open it with :func:`opened`."""

    def __init__(self, folder: Path, config: SlateConfig) -> None:
        self._tuning, self._space = config.tuning, config.tuning.space
        self._given = given_values(config)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with _quiet():
            self._study = optuna.create_study(
                storage=f"sqlite:///{folder / STUDY_FILE}",
                study_name=_NAME,
                direction="maximize",
                pruner=_pruner(config),
                load_if_exists=True,
            )
        self._running: dict[int, optuna.Trial] = {}
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._end(trial.number, Outcome(State.INTERRUPTED, reason="its run was killed"))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials so far, by number."""
        stored = self._study.get_trials(deepcopy=False)
        return tuple(self._plain(trial) for trial in stored if trial.state is not TrialState.WAITING)

    def trial(self, number: int) -> Trial:
        """One trial as it stands now."""
        return self._plain(self._find_stored(number))

    def importances(self) -> dict[str, float]:
        """The share of the objective's variance that each key explains by itself; shares sum to 1.

        fANOVA (Hutter, Hoos and Leyton-Brown, 2014) over finished trials; empty below three of them.
        """
        finished = [
            t for t in self._study.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE and t.params
        ]
        if len(finished) < _FEWEST_FOR_IMPORTANCE or len({trial.value for trial in finished}) == 1:
            return {}
        evaluator = FanovaImportanceEvaluator(seed=self._tuning.seed)
        with _quiet():
            found = get_param_importances(self._study, evaluator=evaluator, params=list(self._space))
        return {key: float(share) for key, share in found.items()}

    def next(self, limit: int) -> Trial | None:
        """Begin one more trial, None when ``limit`` of them count or a grid has no other point.

        First the configuration as given, then what was interrupted, then what the sampler proposes.
        """
        stored = self._study.get_trials(deepcopy=False)
        waiting = any(trial.state is TrialState.WAITING for trial in stored)
        counted = [t for t in stored if _KILLED not in t.user_attrs and t.state is not TrialState.WAITING]
        if len(counted) >= limit:
            return None
        with _quiet():
            if not waiting and not self._enqueue(stored):
                return None
            self._study.sampler = _sampler(self._tuning, len(stored))
            trial = self._study.ask()
            if _BASELINE not in trial.user_attrs or holds(self._space, self._given):
                for key, parameter in self._space.items():
                    _suggest(trial, key, parameter)
        self._running[trial.number] = trial
        return self.trial(trial.number)

    def report(self, number: int, epoch: int, figure: float) -> bool:
        """Record an epoch of a running trial; False when it should end. The baseline always goes on."""
        trial = self._running[number]
        trial.report(figure, epoch)
        return _BASELINE in trial.user_attrs or not trial.should_prune()

    def finish(self, number: int, outcome: Outcome) -> Trial:
        """Record how a running trial ended."""
        del self._running[number]
        self._end(number, outcome)
        return self.trial(number)

    def interrupt(self) -> None:
        """Mark what runs as to be tried again."""
        for number in list(self._running):
            self.finish(number, Outcome(State.INTERRUPTED, reason="the run was interrupted"))

    def _enqueue(self, stored: list[FrozenTrial]) -> bool:
        """Queue a trial whose values are known; False when there is nothing left to try."""
        if not any(_BASELINE in trial.user_attrs for trial in stored):
            values = labelled(self._space, self._given) if holds(self._space, self._given) else {}
            self._study.enqueue_trial(values, user_attrs={_BASELINE: True})
            return True
        retried = {trial.user_attrs.get(_RETRIES) for trial in stored}
        for trial in stored:
            if _KILLED in trial.user_attrs and trial.number not in retried:
                baseline = {_BASELINE: True} if _BASELINE in trial.user_attrs else {}
                self._study.enqueue_trial(trial.params, user_attrs={_RETRIES: trial.number, **baseline})
                return True
        if self._tuning.sampler != "grid":
            return True
        taken = [trial.params for trial in stored]
        for values in grid(self._space, self._tuning.seed):
            point = labelled(self._space, values)
            if point not in taken:
                self._study.enqueue_trial(point)
                return True
        return False

    def _end(self, number: int, outcome: Outcome) -> None:
        # The only way to a trial that another process began.
        trial = optuna.Trial(self._study, self._find_stored(number)._trial_id)
        if outcome.state is State.INTERRUPTED:
            trial.set_user_attr(_KILLED, True)
        if outcome.reason:
            trial.set_user_attr(_REASON, outcome.reason)
        self._study.tell(number, outcome.value, _TOLD[outcome.state])

    def _find_stored(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _plain(self, trial: FrozenTrial) -> Trial:
        attributes = trial.user_attrs
        baseline = _BASELINE in attributes
        values = self._given if baseline else unlabelled(self._space, trial.params)
        state = State.INTERRUPTED if _KILLED in attributes else _STATES[trial.state]
        epochs = trial.intermediate_values
        duration = trial.duration.total_seconds() if trial.duration else 0.0
        return Trial(
            number=trial.number,
            state=state,
            values={key: values[key] for key in self._space if key in values},
            value=trial.value if state is State.FINISHED else None,
            epochs=tuple(epochs[epoch] for epoch in sorted(epochs)),
            seconds=duration,
            reason=attributes.get(_REASON, ""),
            baseline=baseline,
        )


@contextmanager
def opened(folder: Path, config: SlateConfig) -> Iterator[Study]:
    """Make the study in ``folder``, or go on with it; trials that a killed process left are to be retried.

    Raises:
        ConflictError: another process is at work on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"study {folder}: another slate tune is at work on it; wait for it, or use another --workdir"
            ) from error
        study = Study(folder, config)
        try:
            yield study
        except BaseException:
            study.interrupt()
            raise


def _suggest(trial: optuna.Trial, key: str, parameter: Parameter) -> None:
    form = distribution(parameter)
    if isinstance(form, CategoricalDistribution):
        trial.suggest_categorical(key, form.choices)
    elif isinstance(form, IntDistribution):
        trial.suggest_int(key, form.low, form.high, step=form.step, log=form.log)
    elif isinstance(form, FloatDistribution):
        trial.suggest_float(key, form.low, form.high, step=form.step, log=form.log)


def _sampler(tuning: TuningConfig, number: int) -> BaseSampler:
    seed = (tuning.seed * 1_000_003 + number) % 2**32
    if tuning.sampler == "tpe":
        return TPESampler(seed=seed)
    return RandomSampler(seed=seed)


def _pruner(config: SlateConfig) -> BasePruner:
    most = getattr(config, config.tuning.objective).epochs
    least = max(_FEWEST_EPOCHS, round(_WARM_UP_SHARE * most))
    if config.tuning.pruner == "median":
        return MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=least)
    if config.tuning.pruner == "hyperband":
        return HyperbandPruner(min_resource=min(_FEWEST_EPOCHS, most), max_resource=most)
    return NopPruner()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's remarks on features that are new to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
