"""The search: trials in worker processes until enough of them count."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from slate import __version__
from slate.config import SlateConfig
from slate.errors import ModelError
from slate.evaluation.intervals import Difference, paired_difference
from slate.tuning.prepare import Prepared, digest
from slate.tuning.space import applied, check
from slate.tuning.study import Study, opened
from slate.tuning.tasks import USERS, Behind, RankingTask, RetrievalTask
from slate.tuning.trial import State, Trial, baseline_of, best_of
from slate.tuning.workers import DoneEvent, EpochEvent, Workers

BEHIND: Final = "behind"
STUDIES: Final = "studies"
_READ: Final = {
    "retrieval": ("dataset", "split", "retrieval"),
    "ranking": ("dataset", "split", "retrieval", "index", "ranking"),
}

#: Told of the earlier trials first, then of every trial when it begins, after each epoch, and when it ends.
Listener = Callable[[Trial], None]


@dataclass(frozen=True)
class Search:
    """Where a search lies, and all of its trials. ``name`` is that of its folder."""

    name: str
    folder: Path
    fingerprint: str
    trials: tuple[Trial, ...]
    best: Trial
    baseline: Trial | None
    difference: Difference | None
    importances: dict[str, float]


def study_name(config: SlateConfig, prepared: Prepared) -> str:
    """The name that a search keeps while its data, settings, space and Slate's version stay the same."""
    tuning = config.section("tuning")
    del tuning["trials"]
    read = {name: config.section(name) for name in _READ[config.tuning.objective]}
    key = digest({"tuning": tuning, "sections": read, **_origin(prepared)})
    return f"{config.dataset.name}-{config.tuning.objective}-{key[:12]}"


def tune(
    config: SlateConfig,
    prepared: Prepared,
    root: Path,
    *,
    jobs: int = 1,
    timeout: float | None = None,
    listener: Listener = lambda _: None,
) -> Search:
    """Search until ``tuning.trials`` trials count, those of earlier calls included.

    Args:
        root: where studies are kept.
        jobs: how many trials run at once.
        timeout: seconds after which no trial begins; those that run are let end.

    Raises:
        ConfigError: the space holds values that their section refuses.
        ConflictError: another process is at work on the same study.
        ModelError: no trial finished; the message says why.
        KeyboardInterrupt: the running trials are marked, and tried again by the next call.
    """
    check(config)
    name = study_name(config, prepared)
    folder = root / STUDIES / name
    with opened(folder, config) as study:
        for trial in study.trials:
            listener(trial)
        _run(study, config, prepared, folder, jobs, timeout, listener)
        trials = study.trials
        best = best_of(trials)
        if best is None:
            raise ModelError(f"tuning: none of {len(trials)} trials finished: {_reasons(trials)}")
        baseline = baseline_of(trials)
        return Search(
            name,
            folder,
            prepared.fingerprint,
            trials,
            best,
            baseline,
            _difference(folder, best, baseline, config),
            study.importances(),
        )


def _run(
    study: Study,
    config: SlateConfig,
    prepared: Prepared,
    folder: Path,
    jobs: int,
    timeout: float | None,
    listener: Listener,
) -> None:
    started = time.monotonic()
    sections = {name: config.section(name) for name in _READ[config.tuning.objective]}
    behind = None
    with Workers(jobs) as workers:
        while True:
            in_time = timeout is None or time.monotonic() - started < timeout
            while workers.free and in_time and (trial := study.next(config.tuning.trials)):
                if behind is None and config.tuning.objective == "ranking":
                    behind = _behind(sections, prepared, folder)
                workers.start(_task(trial, sections, prepared, behind, folder), _log(folder, trial.number))
                listener(trial)
            if not workers.running:
                return
            for event in workers.events():
                if isinstance(event, DoneEvent):
                    listener(study.finish(event.task.number, event.outcome))
                elif isinstance(event, EpochEvent):
                    go_on = study.report(event.task.number, event.epoch, event.figure)
                    listener(study.trial(event.task.number))
                    workers.answer(event, go_on=go_on)


def _task(
    trial: Trial, sections: dict[str, Any], prepared: Prepared, behind: Path | None, folder: Path
) -> RetrievalTask | RankingTask:
    changed = applied(sections, {} if trial.baseline else trial.values)
    if behind is None:
        return RetrievalTask(trial.number, changed, prepared.splits, folder)
    return RankingTask(trial.number, changed, prepared.splits, behind, folder)


def _behind(sections: dict[str, Any], prepared: Prepared, folder: Path) -> Path:
    """The tower and index of all ranking trials, made once."""
    read = {name: sections[name] for name in ("dataset", "retrieval", "index")}
    key = digest({"sections": read, **_origin(prepared)})
    out = folder.parent.parent / BEHIND / key[:16]
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        with Workers(1) as workers:
            workers.start(
                Behind(sections, prepared.splits, out, out.parent / "checkpoints"), _log(folder, None)
            )
            outcome = next(e.outcome for e in workers.events() if isinstance(e, DoneEvent))
        if outcome.state is State.FAILED:
            raise ModelError(f"tuning: the tower that ranking needs could not be made: {outcome.reason}")
    return out


def _origin(prepared: Prepared) -> dict[str, str]:
    return {"data": prepared.fingerprint, "slate": __version__}


def _log(folder: Path, number: int | None) -> Path:
    return folder / "logs" / ("tower.log" if number is None else f"trial-{number:04d}.log")


def _difference(folder: Path, best: Trial, baseline: Trial | None, config: SlateConfig) -> Difference | None:
    """Best minus default over the validation users, where both left their users' values."""
    if baseline is None or baseline.number == best.number:
        return None
    files = [folder / USERS / f"{trial.number}.npy" for trial in (best, baseline)]
    if not all(file.exists() for file in files):
        return None
    challenger, reference = (np.load(file, allow_pickle=False) for file in files)
    return paired_difference(challenger, reference, config.evaluation.bootstrap, config.tuning.seed)


def _reasons(trials: tuple[Trial, ...]) -> str:
    if not trials:
        return "no time was left to begin one; give a longer --timeout"
    counted: dict[str, list[int]] = {}
    for trial in trials:
        if trial.state is not State.INTERRUPTED:
            counted.setdefault(trial.reason or str(trial.state), []).append(trial.number)
    return "; ".join(f"{reason} (trial {', '.join(map(str, n))})" for reason, n in counted.items())
