"""``slate rollout start``: a release begins in shadow."""

import json
from typing import Annotated

import typer
from rich.console import Console

from slate.cli.rollout_options import (
    ConfigOption,
    JsonOption,
    Opened,
    PrintOption,
    SetOption,
    StoreOption,
    person,
)


def start(
    release: Annotated[str, typer.Argument(help="A sealed release of the store that passed the gate.")],
    store: StoreOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    print_only: PrintOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start the rollout of a release: copies of requests go to it, and no user sees it yet."""
    from slate.release.resolve import resolve
    from slate.rollout.judge.evidence import SHADOW_STEP
    from slate.rollout.start import start as begin
    from slate.rollout.traffic.driver import Split
    from slate.tracking.pointer import mirror_channels

    opened = Opened.of(store, config, overrides)
    release_id = resolve(release, opened.store).release_id
    section = opened.config.rollout
    if print_only:
        for channel in ("shadow", "candidate"):
            typer.echo(f"slate releases promote {release_id} --channel {channel} --store {opened.store.uri}")
        split = Split(f"r-{release_id}", SHADOW_STEP, 0, section.mirror_percent)
        typer.echo(opened.by_hand(split))
        return
    rollout_id = begin(opened.store, release_id, section, by=person(), clock=opened.clock)
    problem = mirror_channels(opened.store)
    if problem:
        Console(stderr=True, highlight=False).print(f"warning: {problem}", soft_wrap=True, markup=False)
    if as_json:
        typer.echo(json.dumps({"rollout_id": rollout_id, "release_id": release_id}))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[green]started[/green] {rollout_id}, in shadow")
    console.print("'slate rollout watch' moves it on; 'slate rollout status' shows where it stands")
