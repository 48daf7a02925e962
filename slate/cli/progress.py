"""Show a running pipeline: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from pipelines.results import Outcome, StepEvent

_STYLES: Final = {
    Outcome.WAITING: "dim",
    Outcome.RUNNING: "bold cyan",
    Outcome.DONE: "green",
    Outcome.REUSED: "blue",
    Outcome.FAILED: "bold red",
    Outcome.SKIPPED: "dim",
}
_QUIET_SECONDS: Final = 5.0
_LINE_WIDTH: Final = 70


@dataclass
class _Row:
    outcome: Outcome = Outcome.WAITING
    began: float = 0.0
    seconds: float = 0.0
    attempt: int = 1
    line: str = ""


class Progress:
    """A context manager whose ``event`` method is the listener of a run."""

    def __init__(self, steps: Sequence[str], console: Console) -> None:
        self._rows = {step: _Row() for step in steps}
        self._console = console
        self._live: Live | None = None
        self._spoke = 0.0
        if console.is_terminal:
            self._live = Live(
                get_renderable=self.table, console=console, refresh_per_second=4, redirect_stdout=False
            )

    def __enter__(self) -> Self:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)

    def event(self, event: StepEvent) -> None:
        """Take in one event."""
        row = self._rows[event.step]
        if event.line is None:
            changed = row.outcome != event.outcome or row.attempt != event.attempt
            if event.outcome is Outcome.RUNNING and row.outcome is not Outcome.RUNNING:
                row.began = time.monotonic()
            row.outcome, row.seconds, row.attempt = event.outcome, event.seconds, event.attempt
            if changed and self._live is None and event.outcome is not Outcome.SKIPPED:
                self._say(event.step, self._status(row))
        else:
            row.line = event.line.strip()
            if self._live is None and time.monotonic() - self._spoke >= _QUIET_SECONDS:
                self._say(event.step, row.line)

    def table(self) -> Table:
        """The steps as they stand now."""
        table = Table(box=None, pad_edge=False)
        table.add_column("step")
        table.add_column("status")
        table.add_column("seconds", justify="right")
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=_LINE_WIDTH, style="dim")
        for step, row in self._rows.items():
            running = row.outcome is Outcome.RUNNING
            seconds = time.monotonic() - row.began if running else row.seconds
            attempt = f" (attempt {row.attempt})" if row.attempt > 1 else ""
            table.add_row(
                step,
                f"[{_STYLES[row.outcome]}]{row.outcome}{attempt}[/]",
                f"{seconds:.1f}" if row.outcome not in (Outcome.WAITING, Outcome.SKIPPED) else "",
                escape(row.line) if running or row.outcome is Outcome.FAILED else "",
            )
        return table

    def _status(self, row: _Row) -> str:
        if row.outcome is Outcome.RUNNING:
            return "running" if row.attempt == 1 else f"running, attempt {row.attempt}"
        return f"{row.outcome}, {row.seconds:.1f} s"

    def _say(self, step: str, text: str) -> None:
        self._spoke = time.monotonic()
        self._console.print(f"{step}: {escape(text)}", highlight=False, soft_wrap=True)
