"""A simulated rollout in a terminal: its course while it runs, and what it came to."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.rollout.state import ENDS
from slate.simulation.course import Course
from slate.simulation.ends import Ended
from slate.simulation.outcome import Outcome
from slate.simulation.releases import Pair

_DAY = 86_400


class CourseView:
    """A line for each move of the rollout, and below them how things stand now."""

    def __init__(self, time_scale: float, console: Console) -> None:
        self._scale, self._console = time_scale, console
        self._status = console.status("users come")
        self._moves = 0

    def __enter__(self) -> Self:
        self._status.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.__exit__(kind, error, trace)

    def show(self, course: Course) -> None:
        """Show what is new."""
        state = course.state
        if state is not None:
            for at, move in list(zip(course.moves, state.history, strict=False))[self._moves :]:
                self._console.print(
                    f"{at:6.1f} s  day {at * self._scale / _DAY:4.1f}  [bold]{move.status:<12}[/bold] "
                    f"{move.threshold / 100:5.1f}%  {escape(move.reason)}"
                )
                self._moves += 1
        self._status.update(escape(self._now(course)))

    def _now(self, course: Course) -> str:
        traffic, verdict = course.traffic, course.verdict
        p99 = traffic.quantile(0.99)
        told = f"{traffic.asked:,} requests, {traffic.failed} failed, {traffic.events:,} events"
        if p99 is not None:
            told += f", p99 {p99:.0f} ms"
        if verdict is not None:
            told += f"; look {verdict.number}: {verdict.verdict.decision}, {verdict.verdict.reasons[0]}"
        return told


def print_releases(releases: Pair, console: Console) -> None:
    """Both releases and their truth."""
    stable, candidate = releases.stable_truth, releases.candidate_truth
    console.print(f"stable     {releases.stable}  {stable.engagement:.3f} engagement a slate")
    console.print(
        f"candidate  {releases.candidate}  {candidate.engagement:.3f}, "
        f"{candidate.engagement / stable.engagement - 1:+.1%}; nobody could do better than {stable.best:.3f}"
    )


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Truth beside estimate, what users noticed, and whether it ended as it had to."""
    end, users = outcome.end, outcome.users
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_row("ended" if end.status in ENDS else "left at", f"{end.status}: {escape(end.reason)}")
    table.add_row("the truth", f"{outcome.true_lift:+.1%} engagement a slate")
    table.add_row("the estimate", _estimate(end))
    slow = "" if users.p99_ms is None else f", p99 {users.p99_ms:.0f} ms"
    table.add_row("users", f"{users.asked:,} requests, {users.failed} failed{slow}; {users.events:,} events")
    if outcome.abort_s is not None:
        table.add_row("gone", f"{outcome.abort_s:.1f} s after it was first killed")
    console.print(table)
    wanted = outcome.wanted
    by = f" by {wanted.check}" if wanted.check else ""
    if outcome.as_expected:
        console.print(f"[green]as it had to:[/green] a {outcome.candidate} candidate is {wanted.status}{by}")
    else:
        console.print(f"[red]not as it had to:[/red] a {outcome.candidate} candidate is {wanted.status}{by}")
        if end.status not in ENDS:
            console.print("the days were over before the rollout was; give it more with --days")


def _estimate(end: Ended) -> str:
    found = end.estimate
    if found is None:
        return "none: too few users were through"
    return (
        f"{found.value:+.1%} engagement a user, between {found.low:+.1%} and {found.high:+.1%} "
        f"(step {found.step}, {found.users:,} users)"
    )
