"""``slate events consume``: from the queue to histories and the log."""

import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slate.errors import ConfigError


def consume(
    store: Annotated[
        str | None, typer.Option(help="Where the log goes: a directory or gs://bucket/prefix.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML configuration; its section feedback.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="feedback.key=value.")] = None,
    once: Annotated[bool, typer.Option(help="Do what waits, and end.")] = False,
    name: Annotated[
        str | None,
        typer.Option(help="Of this consumer; with the same name it goes on at once after a crash."),
    ] = None,
    replay_after: Annotated[
        int | None, typer.Option(min=0, help="First read again what came after this position; 0 is all.")
    ] = None,
    partition: Annotated[int, typer.Option(min=0, help="Which partition to read again.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON at the end.")] = False,
) -> None:
    """Write events, outcomes and exposures to the store's log, and bring users' histories up to date.

    Several consumers may run at once; any may be killed at any instant without loss or repetition. Ends on
    Ctrl-C or SIGTERM, after what has come is written.
    """
    from slate.cli.parameters import chosen_config, store_uri
    from slate.feedback.consumer import Consumer
    from slate.feedback.open import describe, open_queue, open_shown, open_state
    from slate.feedback.replay import replay
    from slate.storage import open_store

    chosen = chosen_config(config, overrides)
    section, address = chosen.feedback, store_uri(store, chosen)
    if partition >= section.partitions:
        raise ConfigError(f"--partition {partition}: there are {section.partitions}; see feedback.partitions")
    queue, shown, opened = open_queue(section), open_shown(section), open_store(address)
    who = name or f"{socket.gethostname()}-{os.getpid()}"
    if replay_after is not None:
        again = replay(queue, shown, opened, section, partition, replay_after)
        typer.echo(f"{again} records of partition {partition} are read again", err=True)
    consumer = Consumer(queue, open_state(section), shown, opened, section, who)
    stop = None if once else _stopped_by_signals()
    typer.echo(f"consuming {describe(section)} into {opened.uri} as {who}", err=True)
    if stop is None:
        consumer.register()
        consumer.drain()
    else:
        consumer.run(stop)
    counts = dict(sorted(consumer.counts.items()))
    if as_json:
        typer.echo(json.dumps(counts))
    else:
        told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
        Console(highlight=False).print(told or "nothing came", soft_wrap=True)


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
