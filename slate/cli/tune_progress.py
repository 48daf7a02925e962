"""Show a search as it goes: a live table on a terminal, a line a trial elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from slate.tuning.summary import outcome_counts, shown
from slate.tuning.trial import State, Trial, baseline_of, best_of

_STYLES = {
    State.FINISHED: "green",
    State.PRUNED: "blue",
    State.FAILED: "bold red",
    State.INTERRUPTED: "dim",
    State.RUNNING: "bold cyan",
}
_ROWS = 12


class TuneProgress:
    """A context manager whose ``event`` method is the listener of a search of ``wanted`` trials."""

    def __init__(self, wanted: int, console: Console) -> None:
        self._wanted, self._console = wanted, console
        self._trials: dict[int, Trial] = {}
        self._began: dict[int, float] = {}
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(get_renderable=self.view, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)

    def event(self, trial: Trial) -> None:
        """Take in a trial as it stands."""
        self._trials[trial.number] = trial
        if trial.state is State.RUNNING:
            self._began.setdefault(trial.number, time.monotonic())
        elif self._live is None:
            self._console.print(self._line(trial), highlight=False, soft_wrap=True)

    def view(self) -> RenderableType:
        """The last trials as they stand, and the best so far."""
        table = Table(box=None, pad_edge=False)
        table.add_column("trial", justify="right")
        table.add_column("")
        table.add_column("epochs", justify="right")
        table.add_column("seconds", justify="right")
        table.add_column("validation", justify="right")
        table.add_column("", no_wrap=True, overflow="ellipsis", style="dim")
        for trial in sorted(self._trials.values(), key=lambda trial: trial.number)[-_ROWS:]:
            running = trial.state is State.RUNNING
            seconds = time.monotonic() - self._began[trial.number] if running else trial.seconds
            figure = trial.epochs[-1] if running and trial.epochs else trial.value
            table.add_row(
                str(trial.number),
                f"[{_STYLES[trial.state]}]{trial.state}[/]",
                str(len(trial.epochs)),
                f"{seconds:.0f}",
                "" if figure is None else f"{figure:.4f}",
                escape(trial.reason or _settings(trial)),
            )
        return Group(table, Text(self._standing()))

    def _standing(self) -> str:
        trials = tuple(self._trials.values())
        best, baseline = best_of(trials), baseline_of(trials)
        parts = [f"{outcome_counts(trials) or 'starting'}, {self._wanted} wanted"]
        if best is not None:
            parts.append(f"best {best.value:.4f} (trial {best.number})")
        if baseline is not None and baseline.value is not None:
            parts.append(f"configuration as given {baseline.value:.4f}")
        return "; ".join(parts)

    def _line(self, trial: Trial) -> str:
        value = "" if trial.value is None else f" {trial.value:.4f}"
        text = escape(trial.reason or _settings(trial))
        return f"trial {trial.number}: {trial.state}{value}, {trial.seconds:.1f} s, {text}"


def _settings(trial: Trial) -> str:
    if trial.baseline:
        return "the configuration as given"
    return ", ".join(f"{key.partition('.')[2]} {shown(value)}" for key, value in trial.values.items())
