"""``slate rollout status``: where a rollout stands, and why."""

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.rollout_options import (
    ConfigOption,
    JsonOption,
    Opened,
    RolloutArgument,
    SetOption,
    StoreOption,
)

if TYPE_CHECKING:
    from slate.rollout.judge.verdict import Check
    from slate.rollout.state import State
    from slate.rollout.verdicts import Recorded

_COLOURS = {"passed": "green", "failed": "red", "missing": "red", "unsure": "yellow"}


def status(
    rollout: RolloutArgument = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Step, since when, how many users, all moves, and the last verdict with its checks."""
    from slate.rollout.state import read_state
    from slate.rollout.verdicts import last_verdict

    opened = Opened.of(store, config, overrides)
    state = read_state(opened.store, opened.rollout_id(rollout)).state
    last = last_verdict(opened.store, state.rollout_id)
    if as_json:
        typer.echo(json.dumps(_record(state, last), indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    _print_state(state, console)
    if last is not None:
        _print_verdict(last, console)
    elif not state.ended:
        console.print("nobody has looked yet; 'slate rollout watch' does")


def _record(state: "State", last: "Recorded | None") -> dict[str, Any]:
    found: dict[str, Any] = state.model_dump(mode="json", by_alias=True)
    found["verdict"] = None
    if last is not None:
        found["verdict"] = {"number": last.number, **json.loads(last.verdict.to_json())}
    return found


def _print_state(state: "State", console: Console) -> None:
    from slate.rollout.traffic.driver import BUCKETS

    colour = {"promoted": "green", "aborted": "red", "inconclusive": "yellow"}.get(state.status, "cyan")
    console.print(f"[{colour}]{state.status}[/{colour}] {state.rollout_id}", soft_wrap=True)
    console.print(f"{state.release_id} against {state.stable_release_id}", soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for header in ("step", "since"):
        table.add_column(header, no_wrap=True)
    table.add_column("users", justify="right")
    for header in ("status", "by", "why"):
        table.add_column(header)
    for move in state.history:
        number = "" if move.verdict is None else f" (verdict {move.verdict})"
        table.add_row(
            move.step,
            move.at[:19].replace("T", " "),
            f"{100 * move.threshold / BUCKETS:g}%",
            move.status,
            escape(move.by),
            escape(f"{move.reason}{number}"),
        )
    console.print(table)


def _print_verdict(last: "Recorded", console: Console) -> None:
    verdict = last.verdict
    forced = f" by {verdict.forced_by}" if verdict.forced_by else ""
    blind = ", blind" if verdict.blind else ""
    console.print(
        f"\nverdict {last.number} of {verdict.at[:19].replace('T', ' ')}, step {verdict.step}: "
        f"[bold]{verdict.decision}[/bold]{escape(forced)}{blind}",
        soft_wrap=True,
    )
    for reason in verdict.reasons:
        console.print(f"  {reason}", soft_wrap=True, markup=False)
    if not verdict.checks:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("")
    for header in ("stable", "candidate", "difference", "from", "to", "limit"):
        table.add_column(header, justify="right")
    for check in verdict.checks:
        table.add_row(*_cells(check))
    console.print(table)


def _cells(check: "Check") -> tuple[str, ...]:
    colour = _COLOURS[check.status]
    figures = (check.stable, check.candidate, check.value, check.low, check.high, check.threshold)
    shown = ("" if figure is None else f"{figure:.4g}" for figure in figures)
    return (check.name, f"[{colour}]{check.status}[/{colour}]", *shown)
