"""``slate rollout``: bring a release to users step by step."""

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from slate.cli import rollout_move, rollout_report, rollout_start, rollout_status, rollout_watch
from slate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from slate.config import SlateConfig
    from slate.rollout.judge.plan import Traffic

app = typer.Typer(no_args_is_help=True, help="Bring a release to users step by step.")

_DAY_SECONDS = 86_400


@app.callback()
def _root() -> None:
    """Bring a release to users step by step."""


app.command("start")(rollout_start.start)
app.command("status")(rollout_status.status)
app.command("step")(rollout_move.step)
app.command("watch")(rollout_watch.watch)
app.command("promote")(rollout_move.promote)
app.command("abort")(rollout_move.abort)
app.command("report")(rollout_report.report)


@app.command()
def plan(
    effect: Annotated[
        float, typer.Option(help="What to find: 0.02 is 2% more engagement per user than stable's.")
    ] = 0.02,
    power: Annotated[float, typer.Option(help="How likely it is to be found.")] = 0.9,
    mean: Annotated[
        float | None, typer.Option(help="Engagement per user in a window, not from the log.")
    ] = None,
    variance: Annotated[float | None, typer.Option(help="Of that between users.")] = None,
    users_per_day: Annotated[float | None, typer.Option(help="New users a day, not from the log.")] = None,
    correlation: Annotated[
        float, typer.Option(help="Of engagement with that before the rollout, for CUPED.")
    ] = 0.0,
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML configuration.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many users and days a rollout needs to find an effect; from the log, or from given numbers."""
    from slate.cli.parameters import chosen_config
    from slate.rollout.judge.plan import Traffic
    from slate.rollout.judge.plan import plan as planned

    chosen = chosen_config(config, overrides)
    if mean is not None and variance is not None and users_per_day is not None:
        traffic = Traffic(mean, variance, users_per_day)
    elif mean is None and variance is None:
        traffic = _traffic(chosen, store)
        if users_per_day is not None:
            traffic = Traffic(traffic.mean, traffic.variance, users_per_day)
    else:
        raise ConfigError("--mean, --variance and --users-per-day: all of them are needed where one is given")
    found = planned(traffic, effect, chosen.rollout, power, correlation)
    if as_json:
        typer.echo(json.dumps({"traffic": asdict(traffic), **asdict(found)}, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{traffic.mean:.4g} engagement per user, variance {traffic.variance:.4g}, "
        f"{traffic.users_per_day:,.0f} new users a day"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("step")
    table.add_column("users", justify="right")
    table.add_column("days", justify="right")
    for step in found.steps:
        table.add_row(f"{step.percent:g}%", f"{step.users:,}", f"{step.days:,.1f}")
    table.add_row("all", "", f"{found.days:,.1f}")
    console.print(table)
    wanted = f"{effect:+.2%} engagement ({chosen.rollout.objective.replace('_', '-')})"
    console.print(f"finds {wanted} with a probability of {power:.0%} at least")
    longest = max(step.days for step in found.steps)
    if longest * _DAY_SECONDS > chosen.rollout.limit_s:
        limit = chosen.rollout.limit_s / _DAY_SECONDS
        console.print(
            f"[yellow]warning:[/yellow] a step needs {longest:,.1f} days and rollout.limit_s allows "
            f"{limit:,.1f}: it would end inconclusive"
        )


def _traffic(chosen: "SlateConfig", store: str | None) -> "Traffic":
    from slate.cli.parameters import store_uri
    from slate.feedback.metrics.log import days_of, read_rows
    from slate.rollout.judge.plan import traffic_of
    from slate.storage import open_store

    opened = open_store(store_uri(store, chosen))
    known = days_of(opened)
    if known is None:
        raise DataError(
            f"{opened.uri}: holds no exposures; serve first, or name --mean, --variance and --users-per-day"
        )
    first, last = known
    late = -(-int(chosen.feedback.max_age_s) // _DAY_SECONDS)
    rows = read_rows(opened, chosen.dataset.events, first, last + timedelta(days=1), late)
    return traffic_of(rows, chosen.rollout.window_s, (last - first).days + 1)
