"""Where the processes of a stack listen."""

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final, Self

from slate.errors import ConfigError

#: Below the ports that a system gives to clients, which could take one before its server starts.
_FIRST: Final = 12_000
_LAST: Final = 31_999

GATEWAY: Final = 8000
EVENTS: Final = 8082


@dataclass(frozen=True)
class Ports:
    """One port for everything that listens. Gateway and events are for clients, the others are inner ones."""

    gateway: int
    events: int
    admin: int
    stable: int
    stable_grpc: int
    candidate: int
    candidate_grpc: int
    shadow: int
    shadow_grpc: int

    @classmethod
    def free(cls, gateway: int | None = None, events: int | None = None) -> Self:
        """Ports that nobody listens on now, but for those that are named.

        Raises:
            ConfigError: no port is free.
        """
        given = {name: port for name, port in (("gateway", gateway), ("events", events)) if port is not None}
        found = _unused(set(given.values()))
        return cls(**{each.name: given.get(each.name) or next(found) for each in fields(cls)})

    def check(self) -> None:
        """Raises ConfigError where somebody listens on one of them."""
        for each in fields(self):
            port = getattr(self, each.name)
            if not _is_free(port):
                raise ConfigError(
                    f"port {port} ({each.name}) is taken; stop who listens there ('ss -ltnp' tells), or name "
                    "another one: --gateway-port, --events-port"
                )


def _unused(taken: set[int]) -> Iterator[int]:
    # Not from the first one on: two stacks that start together would choose the same.
    order = random.Random().sample(range(_FIRST, _LAST + 1), _LAST - _FIRST + 1)  # noqa: S311
    for port in order:
        if port not in taken and _is_free(port):
            yield port
    raise ConfigError(f"ports {_FIRST} to {_LAST} are all taken; name --gateway-port and --events-port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 (as the servers do)
        except OSError:
            return False
        return True
