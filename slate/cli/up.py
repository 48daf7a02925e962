"""``slate up`` and ``slate down``: the whole online stack on this machine."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from serving.stack import Stack

FolderOption = Annotated[Path, typer.Option(help="The stack's own files: logs, keys, what is up.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def up(
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML configuration.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")] = None,
    gateway_port: Annotated[int, typer.Option(min=1, max=65_535, help="Where users ask.")] = 8000,
    events_port: Annotated[int, typer.Option(min=1, max=65_535, help="Where events go.")] = 8082,
    time_scale: Annotated[
        float,
        typer.Option(help="How much faster than real time it goes, to see a rollout of days in minutes."),
    ] = 1.0,
    shadow: Annotated[
        bool, typer.Option(help="Run a shadow server; without one a rollout leaves step shadow by hand.")
    ] = True,
    detach: Annotated[bool, typer.Option(help="Go on in the background; 'slate down' ends it.")] = False,
    folder: FolderOption = Path(".slate/up"),
    as_json: JsonOption = False,
) -> None:
    """Run servers, gateway, events endpoint, consumer and rollout controller; Ctrl-C takes all down.

    The channel stable must name a release. Candidate and shadow servers run while a rollout needs them. What
    crashes is started again, and said. Everything listens on this machine; keys are made where
    SLATE_SIGNING_KEYS and SLATE_API_KEYS are unset.
    """
    if detach:
        _detached(folder, as_json)
        return
    try:
        from serving.stack import Ports, Stack
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"slate up needs {error.name}; install slate-recommender with the extras [serve,local]"
        ) from error
    from slate.cli.parameters import chosen_config, store_uri

    chosen = chosen_config(config, overrides)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    stack = Stack(
        store_uri(store, chosen),
        folder,
        config=config,
        overrides=overrides or (),
        ports=Ports.free(gateway_port, events_port),
        time_scale=time_scale,
        shadow=shadow,
        tell=lambda line: errors.print(escape(line)),
    )
    # As Ctrl-C, when a terminal is closed too: what is up goes down in good order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        errors.print("starting; a model server takes some seconds")
        with stack:
            _show(_facts(stack), as_json)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        errors.print("down")


def down(folder: FolderOption = Path(".slate/up"), as_json: JsonOption = False) -> None:
    """Take down what `slate up` runs; what it left behind, if it was killed, too."""
    from serving.stack import take_down

    ended = take_down(folder)
    if as_json:
        typer.echo(json.dumps({"ended": ended}))
    else:
        Console(highlight=False, soft_wrap=True).print("down" if ended else f"nothing is up in {folder}")


def _detached(folder: Path, as_json: bool) -> None:
    from serving.stack import Record
    from serving.stack.keys import stack_keys
    from serving.stack.logs import tail

    record = Record(folder)
    if record.held():
        raise ConfigError(
            f"a stack is up already in {folder} (process {record.read().get('pid', '?')}); take it down with "
            "'slate down'"
        )
    words = [word for word in sys.argv[1:] if word not in ("--detach", "--json")]
    log = folder / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 (ourselves)
            [sys.executable, "-m", "slate.cli.main", *words],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    while True:
        facts = record.read()
        if facts.get("pid") == process.pid and facts.get("ready"):
            break
        if process.poll() is not None:
            raise GatewayError(f"the stack did not start:\n{tail(log)}")
        time.sleep(0.1)
    _show({**facts, "api_key": stack_keys(folder).api_key}, as_json)


def _facts(stack: "Stack") -> dict[str, Any]:
    from serving.stack import Record

    return {**Record(stack.folder).read(), "api_key": stack.api_key}


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
        return
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("process", "port", "state"):
        table.add_column(heading, justify="right" if heading == "port" else "left")
    for name, port in facts["ports"].items():
        there = "up" if name in facts["children"] else "[dim]while a rollout needs it[/dim]"
        table.add_row(name, str(port or ""), there)
    console.print(table)
    console.print(f"ask      {facts['gateway']}/v1/models/recommender:predict")
    console.print(f"events   {facts['events']}/v1/events")
    console.print(f"key      {escape(facts['api_key']) or 'as in SLATE_API_KEYS'}")
    console.print(f"logs     {escape(facts['logs'])}")
    if facts["time_scale"]:
        console.print(f"time     export SLATE_TIME_SCALE={facts['time_scale']} for commands beside it")
