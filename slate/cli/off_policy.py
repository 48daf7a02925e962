"""``slate off-policy``: what another policy would have been worth at the slot that explores."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.errors import ConfigError

if TYPE_CHECKING:
    from slate.evaluation.off_policy.compare import Compared

_MEANING = {
    "ips": "inverse propensity",
    "snips": "self-normalised",
    "dr": "doubly robust",
}


def off_policy(
    policy: Annotated[
        Literal["greedy", "uniform"] | None,
        typer.Option(help="greedy: always the order's own item. uniform: any of the slot's pool alike."),
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="A channel, a release id or its beginning, instead of --policy.")
    ] = None,
    reward: Annotated[
        Literal["slot", "slate"], typer.Option(help="Count what came of the slot's item, or of the slate.")
    ] = "slot",
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day, in UTC; the log's by default."),
    ] = None,
    minimum: Annotated[
        float, typer.Option(min=1, help="Refuse below so many slates that the weights are worth.")
    ] = 100.0,
    clip: Annotated[
        float | None, typer.Option(help="Lower weights to this: less variance, and a bias. Off by default.")
    ] = None,
    slates: Annotated[
        int, typer.Option(min=1, help="Of --release: ask for so many slates at most.")
    ] = 20_000,
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; its section dataset weighs the events.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate from the log's propensities what another policy would have been worth at the exploring slot.

    Refuses where propensities are missing or all 1, or where the weights are worth too few slates.
    """
    from slate.cli.parameters import chosen_config, store_uri
    from slate.clock import SystemClock
    from slate.evaluation.off_policy.compare import Question, compare_policy, compare_release
    from slate.storage import open_store

    if (policy is None) == (release is None):
        raise ConfigError("--policy and --release: give one of them")
    chosen = chosen_config(config, overrides)
    opened = open_store(store_uri(store, chosen))
    question = Question(
        events=chosen.dataset.events,
        now=SystemClock().now(),
        window=timedelta(seconds=chosen.feedback.window_s),
        since=None if since is None else since.date(),
        whole_slate=reward == "slate",
        minimum=minimum,
        clip=clip,
    )
    if release is not None:
        found = compare_release(opened, release, question, slates)
    else:
        found = compare_policy(opened, policy or "greedy", question)
    if as_json:
        typer.echo(json.dumps({"reward": reward, **asdict(found)}, ensure_ascii=False))
    else:
        _print(found, reward)


def _print(found: "Compared", reward: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    each, what = found.estimates, "slot" if reward == "slot" else "slate"
    console.print(
        f"[bold]{escape(found.policy)}[/bold] on {each.slates:,} exploring slates of {each.users:,} users, "
        f"which brought {each.shown:.4g} engagement a {what}"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("estimate")
    for heading in (f"engagement a {what}", "95% interval", "more than shown", "95% interval"):
        table.add_column(heading, justify="right")
    for value in each.values:
        table.add_row(
            _MEANING[value.estimator],
            f"{value.value:.4g}",
            _interval(value.low, value.high),
            f"{value.difference:+.4g}",
            _interval(value.difference_low, value.difference_high, "+"),
        )
    console.print(table)
    console.print(
        f"the weights are worth {each.effective:,.0f} slates; the largest is {each.largest_weight:.3g}, "
        f"the mean {each.support:.3f}"
    )
    if each.clip is not None:
        console.print(
            f"[yellow]warning:[/yellow] {each.clipped:,} weights were lowered to {each.clip:g}: "
            "every estimate is biased by that"
        )
    for note in found.notes:
        console.print(f"[dim]{escape(note)}[/dim]")


def _interval(low: float | None, high: float | None, sign: str = "") -> str:
    if low is None or high is None:
        return "–"
    return f"{low:{sign}.4g} to {high:{sign}.4g}"
