"""``slate events``: the endpoint that takes in what users do, and a client for it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from slate.cli.events_consume import consume
from slate.errors import ConfigError, DataError

app = typer.Typer(no_args_is_help=False)
app.command("consume")(consume)

ConfigOption = Annotated[
    Path | None, typer.Option(help="A YAML configuration; sections dataset and feedback.")
]
OverridesOption = Annotated[list[str] | None, typer.Option("--set", help="feedback.key=value.")]
OpenOption = Annotated[
    bool, typer.Option("--open", help="Take events from anybody: only where friends alone reach the port.")
]
UrlOption = Annotated[str, typer.Option(help="Where the endpoint is.")]
KeyOption = Annotated[
    str | None, typer.Option(envvar="SLATE_API_KEY", help="The key to send; better in the environment.")
]


@app.callback(invoke_without_command=True)
def events(context: typer.Context) -> None:
    """Take events in over HTTP: `slate events` alone is `slate events serve`."""
    if context.invoked_subcommand is None:
        serve()


@app.command("serve")
def serve(
    config: ConfigOption = None,
    overrides: OverridesOption = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="8082 by default.")] = None,
    anybody: OpenOption = False,
) -> None:
    """Take events and items in until Ctrl-C or SIGTERM.

    Keys come from SLATE_API_KEYS (<name>:<secret or sha256=hex>:<scope+scope>, by commas; the scopes are
    outcomes, organic, items, read) or are JSON Web Tokens by feedback.jwks. Exposure ids are checked with
    SLATE_SIGNING_KEYS, the model server's own.
    """
    try:
        from slate.feedback.endpoint import serve as endpoint
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"slate events needs {error.name}; install slate-recommender with the extra [serve]"
        ) from error
    from slate.cli.parameters import chosen_config

    told = [] if port is None else [f"feedback.port={port}"]
    chosen = chosen_config(config, [*(overrides or ()), *told])
    endpoint.log_as_json()
    typer.echo(f"events of {chosen.dataset.name} on port {chosen.feedback.port}", err=True)
    endpoint.serve(chosen.dataset, chosen.feedback, open_to_all=anybody)


@app.command("send")
def send(
    file: Annotated[Path, typer.Argument(help="Events: a JSON object, a list of them, or one a line.")],
    url: UrlOption = "http://127.0.0.1:8082",
    key: KeyOption = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="How many a request.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send events to an endpoint; waits and sends again where it is full or away.

    Sending a file twice is harmless: events that are there already count as duplicates.
    """
    from slate.feedback.client import post

    parts = read_parts(file)
    total: dict[str, Any] = {"accepted": 0, "duplicates": 0, "rejected": []}
    for first in range(0, len(parts), batch):
        answer = post(f"{url.rstrip('/')}/v1/events", parts[first : first + batch], key)
        for name in ("accepted", "duplicates"):
            total[name] += answer[name]
        total["rejected"] += [{**each, "index": each["index"] + first} for each in answer["rejected"]]
    report(total, as_json)


def read_parts(file: Path) -> list[Any]:
    """The objects of a file: one, a list, or one a line.

    Raises:
        DataError: it is not there, or no JSON.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); name a file of JSON in UTF-8") from error
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return [_line(file, place, line) for place, line in enumerate(text.splitlines(), 1) if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def report(answer: dict[str, Any], as_json: bool) -> None:
    """Print what became of the parts; exits with 4 where some were rejected."""
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        console = Console(highlight=False, soft_wrap=True)
        counts = [f"{answer[name]} {name}" for name in ("accepted", "duplicates") if name in answer]
        console.print(", ".join([*counts, f"{len(answer['rejected'])} rejected"]))
        for each in answer["rejected"][:20]:
            console.print(f"  [red]{each['index']}[/red] {escape(each['reason'])}")
        if len(answer["rejected"]) > 20:
            console.print(f"  and {len(answer['rejected']) - 20} more; --json lists all")
    if answer["rejected"]:
        raise typer.Exit(DataError.exit_code)


def _line(file: Path, place: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{file}: line {place} is no JSON ({error.msg}); correct it") from error
