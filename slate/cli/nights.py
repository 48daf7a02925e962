"""``slate nights``: users by day, an incremental release by night."""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from slate.simulation.nights import Night


def nights(
    days: Annotated[int, typer.Option(min=1, help="How many days, each with its night.")] = 3,
    users: Annotated[int | None, typer.Option(min=100, help="1,500 by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the world, its users and all they do.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(help="Where all of it is kept; below .slate/simulation by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the nights as JSON at the end.")] = False,
) -> None:
    """Let invented users use the whole stack, and bring the live release up to date each night.

    A day's events go over HTTP into the queue and by the consumer into the store. At night the incremental
    pipeline makes a release of them; one that passes its gate is promoted, slates are made ahead, and the
    server takes it on. Exit status: 0 when every night's release passed, 1 otherwise.
    """
    # Releases are measured in this process, too.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from pipelines.fingerprint import code_fingerprint
    from serving.stack import apart
    from slate.cli.parameters import new_run_id
    from slate.cli.simulate import own_stack
    from slate.simulation.nights import Nights, prepare_nights
    from slate.simulation.releases import CACHE
    from slate.simulation.settings import read_night_settings

    console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False, soft_wrap=True)
    settings = read_night_settings(users=users)
    chosen = folder or Path(".slate/simulation") / f"{new_run_id()}-nights"
    console.print(
        f"{settings.size.users:,} users, {settings.size.items} items, seed {seed}; "
        f"kept in {escape(str(chosen))}"
    )
    with console.status("preparing") as status:
        prepared = prepare_nights(
            settings,
            chosen,
            seed=seed,
            code=code_fingerprint(),
            cache=CACHE.expanduser(),
            tell=lambda line: status.update(escape(line)),
        )
    # As Ctrl-C: what is up goes down in good order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found: list[Night] = []
    with own_stack(prepared, (), console) as stack, console.status("the stack is up") as status:
        run = Nights(
            prepared,
            stack.address,
            early_days=settings.early_days,
            crowded=settings.time_scale,
            overrides=apart(prepared.folder / "stack"),
            tell=lambda line: status.update(escape(line)),
        )
        for night in run.run(days):
            found.append(night)
            _print(night, console)
    if as_json:
        typer.echo(json.dumps([asdict(night) for night in found]))
    if any(night.release_id is None for night in found):
        raise typer.Exit(1)


def _print(night: "Night", console: Console) -> None:
    console.print(
        f"[bold]day {night.day}[/bold]    {night.asked:,} requests, {night.failed} failed, "
        f"{night.events:,} events, {night.elsewhere:,} elsewhere; engagement {night.engagement:.2f} a slate"
    )
    why = f" by {', '.join(night.failed_checks)}" if night.failed_checks else ""
    console.print(f"  gate    {night.verdict}{escape(why)}: {night.release_id or 'nothing new'}")
    if night.quality is not None:
        quality = night.quality
        between = "" if quality.low is None else f", between {quality.low:+.4f} and {quality.high:+.4f}"
        console.print(
            f"  NDCG    {quality.challenger:.4f}, not updated {quality.reference:.4f}: "
            f"{quality.value:+.4f}{between} ({quality.users:,} users)"
        )
    for release, count in night.slates_after.items():
        mark = "  <- answers" if release == night.served_by else ""
        console.print(f"  slates  {release}  {night.slates_before.get(release, 0):,} -> {count:,}{mark}")
    console.print(f"  night   {night.seconds:.0f} s")
