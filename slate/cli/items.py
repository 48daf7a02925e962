"""``slate items``: add items, or take them down, without a new release."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.events import KeyOption, UrlOption, read_parts, report

app = typer.Typer(no_args_is_help=True)

_URL = "http://127.0.0.1:8082"
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("put")
def put(
    file: Annotated[
        Path, typer.Argument(help="Items: {schema: 1, item_id, features, available}, a list, or one a line.")
    ],
    url: UrlOption = _URL,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add or change items: servers show them within a second."""
    from slate.feedback.client import post

    report(post(f"{url.rstrip('/')}/v1/items", read_parts(file), key), as_json)


@app.command("take-down")
def take_down(
    item_ids: Annotated[list[str], typer.Argument(help="Items that nobody may see from now on.")],
    url: UrlOption = _URL,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take items down, whatever the release says of them."""
    from slate.feedback.client import post

    parts = [{"schema": 1, "item_id": each, "available": False} for each in item_ids]
    report(post(f"{url.rstrip('/')}/v1/items", parts, key), as_json)


@app.command("list")
def list_changes(
    url: UrlOption = _URL,
    key: KeyOption = None,
    after: Annotated[int, typer.Option(min=0, help="Only changes after this version.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """The items that changed online, oldest change first."""
    from slate.feedback.client import ask

    changes = ask(f"{url.rstrip('/')}/v1/items?after={after}", None, key)["items"]
    if as_json:
        typer.echo(json.dumps(changes))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("version", "item", "available", "features"):
        table.add_column(heading, justify="right" if heading == "version" else "left")
    for each in changes:
        features = json.dumps(each["features"], ensure_ascii=False)
        shown = "yes" if each["available"] else "[red]no[/red]"
        table.add_row(str(each["version"]), escape(each["item_id"]), shown, escape(features))
    Console().print(table)
