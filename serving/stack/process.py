"""The processes of a stack as they are shown."""

from dataclasses import dataclass
from pathlib import Path

from serving.stack.child import Child
from serving.stack.commands import ENVOY, EVENTS, VARIANTS
from serving.stack.ports import Ports


@dataclass(frozen=True)
class Process:
    """One process as it is now; ``state`` is ``ready``, ``starting``, ``away`` or ``not needed``."""

    name: str
    pid: int | None
    port: int | None
    state: str
    restarts: int
    log: Path


def process_of(child: Child, ports: Ports) -> Process:
    """A process as it is now."""
    if not child.wanted:
        state = "not needed"
    elif not child.running:
        state = "away"
    else:
        state = "ready" if child.ready() else "starting"
    name = child.spec.name
    return Process(name, child.pid, port_of(name, ports), state, child.restarts, child.spec.log)


def port_of(name: str, ports: Ports) -> int | None:
    """Where a process listens for others; None where it does not."""
    if name == ENVOY:
        return ports.gateway
    found: int | None = getattr(ports, name) if name in (*VARIANTS, EVENTS) else None
    return found
