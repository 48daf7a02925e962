"""What the commands of ``slate rollout`` have in common."""

import getpass
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from slate.errors import NotFoundError

if TYPE_CHECKING:
    from slate.clock import SystemClock
    from slate.config import SlateConfig
    from slate.rollout.controller import Controller
    from slate.rollout.lease import Lease
    from slate.rollout.traffic.driver import Driver, Split
    from slate.storage import ObjectStore

StoreOption = Annotated[str | None, typer.Option("--store", help="A directory or gs://bucket/prefix.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A YAML configuration; its section rollout.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PrintOption = Annotated[
    bool, typer.Option("--print", help="Only show the move: as commands of kubectl, and as manifests.")
]
RolloutArgument = Annotated[str | None, typer.Argument(help="A rollout; the last one by default.")]

#: How long a command waits for a controller to do what it asks, in real seconds.
PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Opened:
    """What a command works with."""

    config: "SlateConfig"
    store: "ObjectStore"
    clock: "SystemClock"

    @classmethod
    def of(cls, store: str | None, config: Path | None, overrides: list[str] | None) -> "Opened":
        """By the options of a command."""
        from slate.cli.parameters import chosen_config, store_uri
        from slate.clock import SystemClock
        from slate.storage import open_store

        chosen = chosen_config(config, overrides)
        return cls(chosen, open_store(store_uri(store, chosen)), SystemClock())

    def rollout_id(self, named: str | None) -> str:
        """The one that is named, else the last one.

        Raises:
            NotFoundError: there was none yet.
        """
        from slate.release.rollouts import read_pointer

        if named is not None:
            return named
        pointer = read_pointer(self.store)
        if pointer is None:
            raise NotFoundError(
                f"{self.store.uri}: has no rollouts; 'slate rollout start RELEASE' begins one"
            )
        return pointer.rollout_id

    def driver(self) -> "Driver":
        """Of the gateway that the configuration names."""
        from slate.rollout.traffic.open import open_driver

        return open_driver(self.config.rollout.gateway, self.store)

    def by_hand(self, split: "Split") -> str:
        """How a person would tell the gateway; of a cluster, too, where the gateway is this machine's."""
        from slate.rollout.traffic.kubernetes.printed import printed

        own = self.driver().printed(split)
        gateway = self.config.rollout.gateway
        if gateway.driver == "kubernetes":
            return own
        return f"{own}\n{printed(split, gateway.namespace)}"

    def lease(self) -> "Lease":
        """Under a name that no other process has."""
        from slate.rollout.lease import Lease

        holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        return Lease(self.store, holder, self.config.rollout.lease_s)

    def controller(self, lease: "Lease", say: Callable[[str], None]) -> "Controller":
        """That works under a lease."""
        from slate.rollout.controller import Controller
        from slate.rollout.gather import Gatherer

        gatherer = Gatherer(self.store, self.driver(), self.config.dataset.events)
        return Controller(
            gatherer, lease, self.config.rollout, self.clock, after_promotion=self._promoted, say=say
        )

    def tick_until(self, done: Callable[[], bool]) -> str:
        """Be the controller, where there is no other one, or wait for it, until something is done.

        Returns:
            the name of the other controller; the empty string where this one did it.
        """
        from slate.rollout.lease import beating

        lease = self.lease()
        controller = self.controller(lease, lambda line: typer.echo(line, err=True))
        stop, deadline = threading.Event(), time.monotonic() + PATIENCE_SECONDS
        beat = beating(lease, self.config.rollout.lease_s, stop)
        other = ""
        try:
            while not done() and time.monotonic() < deadline:
                other = "" if controller.tick() else lease.other
                if not done():
                    time.sleep(0.2)
        finally:
            stop.set()
            beat.join()
            lease.give_back()
        return other

    def _promoted(self) -> None:
        from slate.feedback.open import open_state
        from slate.release.outdated import drop_outdated
        from slate.tracking.pointer import mirror_channels

        drop_outdated(self.store, open_state(self.config.feedback, self.clock))
        problem = mirror_channels(self.store)
        if problem:
            typer.echo(f"warning: {problem}", err=True)


def person() -> str:
    """Who types the command, for the record."""
    return getpass.getuser()
