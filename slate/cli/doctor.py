"""``slate doctor``: what is wrong, before it goes wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from slate.doctor.finding import Finding

_COLOURS = {"good": "green", "absent": "dim", "doubtful": "yellow", "bad": "red"}


def doctor(
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML configuration.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at the machine, what is installed, the configuration, keys, queue and store. Changes nothing.

    Exit status 1 where something is bad; what is merely absent is optional.
    """
    from slate.doctor.finding import Health

    found = list(_looks(store, config, overrides or []))
    if as_json:
        typer.echo(json.dumps([each.to_dict() for each in found], indent=2, ensure_ascii=False))
    else:
        _print(found)
    if any(each.health is Health.BAD for each in found):
        raise typer.Exit(1)


def _looks(store: str | None, config: Path | None, overrides: list[str]) -> "Iterator[Finding]":
    from slate.cli.parameters import store_uri
    from slate.doctor.environment import configuration, environment
    from slate.doctor.installation import installation
    from slate.doctor.machine import machine
    from slate.doctor.store import store as look_at_store

    finding, chosen = configuration(config, overrides)
    uri = store or (store_uri(None, chosen) if chosen else ".slate")
    yield from machine(Path.cwd() if "://" in uri else Path(uri).absolute())
    yield from installation()
    yield finding
    if chosen is not None:
        yield from environment(chosen)
    yield from look_at_store(uri)


def _print(found: "list[Finding]") -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold")
    for each in found:
        text = escape(each.found) + (f"\n[bold]{escape(each.advice)}[/bold]" if each.advice else "")
        table.add_row(f"[{_COLOURS[each.health]}]{each.health}[/]", each.name, text)
    Console(highlight=False).print(table)
