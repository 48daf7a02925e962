import io

from rich.console import Console

from pipelines.results import Outcome, StepEvent
from slate.cli.progress import Progress

STEPS = ("ingest", "split", "push_release")


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


def said(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_without_a_terminal_every_change_is_a_line() -> None:
    on = console(terminal=False)
    with Progress(STEPS, on) as progress:
        progress.event(StepEvent("ingest", Outcome.RUNNING))
        progress.event(StepEvent("ingest", Outcome.RUNNING, line="[100] rows\n"))
        progress.event(StepEvent("ingest", Outcome.RUNNING, attempt=2))
        progress.event(StepEvent("ingest", Outcome.DONE, 1.25, 2))
        progress.event(StepEvent("split", Outcome.REUSED, 0.01))
        progress.event(StepEvent("push_release", Outcome.SKIPPED))
    assert said(on).splitlines() == [
        "ingest: running",
        "ingest: running, attempt 2",
        "ingest: done, 1.2 s",
        "split: reused, 0.0 s",
    ], "a step's own lines come at most every few seconds"


def test_a_long_step_speaks_now_and_then() -> None:
    on = console(terminal=False)
    progress = Progress(STEPS, on)
    progress._spoke = -100.0
    progress.event(StepEvent("split", Outcome.RUNNING, line="epoch 1 [bold]"))
    progress.event(StepEvent("split", Outcome.RUNNING, line="epoch 2"))
    assert said(on) == "split: epoch 1 [bold]\n", "and what it says is no markup"


def test_on_a_terminal_a_table_shows_all_steps_and_the_last_line_of_the_running_one() -> None:
    on = console(terminal=True)
    with Progress(STEPS, on) as progress:
        progress.event(StepEvent("ingest", Outcome.REUSED, 0.02))
        progress.event(StepEvent("split", Outcome.RUNNING))
        progress.event(StepEvent("split", Outcome.RUNNING, line="  cut [1/2]"))
        on.print(progress.table())
    lines = [" ".join(line.split()) for line in said(on).splitlines()]
    assert "step status seconds" in lines
    assert "ingest reused 0.0" in lines
    assert "split running 0.0 cut [1/2]" in lines
    assert "push_release waiting" in lines
