"""The plots of a search, in the look of all pages."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from slate.config import Parameter
from slate.pages.charts import MUTED, SERIES, STYLE, figure, svg
from slate.tuning.space import label
from slate.tuning.summary import shown
from slate.tuning.trial import State, Trial

_MANY = 8


def history(trials: Sequence[Trial], ylabel: str) -> Markup:
    """Objectives by trial, with the best so far as a line and pruned and failed trials along the bottom."""
    finished = _finished(trials)
    best, heights = float("-inf"), []
    for trial in finished:
        best = max(best, trial.value or 0.0)
        heights.append(best)
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure()
        numbers = [trial.number for trial in finished]
        axes.plot(numbers, heights, drawstyle="steps-post", color=SERIES[0], label="best so far")
        axes.scatter(numbers, [trial.value for trial in finished], s=18, color=SERIES[0], label="trial")
        _mark_baseline(axes, finished)
        for state, marker in ((State.PRUNED, "v"), (State.FAILED, "x")):
            without = [trial.number for trial in trials if trial.state is state]
            if without:
                axes.plot(
                    without, [0.02] * len(without), marker, color=MUTED, ms=5, label=str(state),
                    transform=axes.get_xaxis_transform(), linestyle="none",
                )  # fmt: skip
        axes.set(xlabel="trial", ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.legend(loc="best")
        return svg(drawing, "Objective by trial")


def curves(trials: Sequence[Trial], best: Trial, ylabel: str) -> Markup:
    """One line a trial over epochs; a cross where pruning ended one."""
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure()
        pruned = False
        for trial in sorted(trials, key=lambda trial: (trial.number == best.number, trial.baseline)):
            if not trial.epochs:
                continue
            colour, width, name = _line_of(trial, best)
            epochs = range(1, len(trial.epochs) + 1)
            axes.plot(epochs, trial.epochs, color=colour, linewidth=width, label=name)
            if trial.state is State.PRUNED:
                axes.plot(
                    [len(trial.epochs)], [trial.epochs[-1]], "x", color=SERIES[1], ms=6,
                    label=None if pruned else "pruned",
                )  # fmt: skip
                pruned = True
        axes.set(xlabel="epoch", ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.legend(loc="best")
        return svg(drawing, "Trials by epoch")


def against(key: str, parameter: Parameter, trials: Sequence[Trial], ylabel: str) -> Markup | None:
    """The values of one key against the objective; None where no finished trial has one."""
    finished = [trial for trial in _finished(trials) if trial.values.get(key) is not None]
    if not finished:
        return None
    with matplotlib.rc_context(STYLE):
        drawing, axes = figure(height=2.3)
        values = [trial.values[key] for trial in finished]
        places = values
        if parameter.choices is not None:
            known = list(parameter.choices) + [v for v in values if label(v) not in _labels(parameter)]
            if all(isinstance(choice, int | float) for choice in known):
                known.sort()
            positions = {label(choice): place for place, choice in enumerate(known)}
            places = [positions[label(value)] for value in values]
            axes.set_xticks(range(len(known)), [shown(choice) for choice in known])
            axes.set_xlim(-0.5, len(known) - 0.5)
            if len(known) > _MANY:
                axes.tick_params(axis="x", labelrotation=90)
        elif parameter.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.minorticks_off()
        elif isinstance(parameter.low, int):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.scatter(places, [trial.value for trial in finished], s=18, color=SERIES[0], alpha=0.8)
        given = [place for place, trial in zip(places, finished, strict=True) if trial.baseline]
        _mark_baseline(axes, finished, given)
        axes.set(xlabel=key, ylabel=ylabel)
        return svg(drawing, f"Objective by {key}")


def _finished(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state is State.FINISHED]


def _labels(parameter: Parameter) -> list[Any]:
    return [label(choice) for choice in parameter.choices or ()]


def _line_of(trial: Trial, best: Trial) -> tuple[str, float, str | None]:
    """Colour, width and legend of one trial's curve."""
    if trial.number == best.number:
        return SERIES[0], 2.2, f"trial {trial.number}, the best"
    if trial.baseline:
        return SERIES[1], 1.8, "as configured"
    return MUTED, 0.7, None


def _mark_baseline(axes: Any, finished: Sequence[Trial], places: Sequence[Any] | None = None) -> None:
    """A ring around the configuration as it was given."""
    baseline = [trial for trial in finished if trial.baseline]
    x = places if places is not None else [trial.number for trial in baseline]
    if len(x):
        axes.scatter(
            x, [trial.value for trial in baseline], s=70, facecolors="none", edgecolors=SERIES[1],
            linewidths=1.6, label="as configured",
        )  # fmt: skip
