"""``slate rollout watch``: the controller."""

import signal
import threading
from typing import Annotated

import typer

from slate.cli.rollout_options import ConfigOption, Opened, SetOption, StoreOption


def watch(
    store: StoreOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Show slate_rollout_weight at /metrics there.")
    ] = None,
) -> None:
    """Look at the rollout every few seconds, and move it; ends on Ctrl-C or SIGTERM.

    One controller works at a time. Another one waits, and takes over when the first ends or is not heard of
    for rollout.lease_s. Without a rollout it waits for one.
    """
    from slate.clock import SystemClock
    from slate.rollout.watch import watch as run

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    opened = Opened.of(store, config, overrides)

    def say(line: str) -> None:
        typer.echo(f"{SystemClock().now():%Y-%m-%d %H:%M:%S} {line}", err=True)

    lease = opened.lease()
    controller = opened.controller(lease, say)
    if metrics_port is not None:
        from slate.rollout.weight import serve_weight

        port = serve_weight(opened.store, metrics_port)
        say(f"/metrics on port {port}")
    say(f"rollouts of {opened.store.uri} on the {opened.config.rollout.gateway.driver} gateway")
    run(controller, lease, stop, opened.config.rollout.lease_s, say)
