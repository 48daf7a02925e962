"""Every process of the online stack on one machine, as one thing that goes up and down."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from serving.stack.ports import Ports


class Stack:
    """Stable, events endpoint, consumer, gateway and controller; candidate and shadow while they are needed.

    As a context manager it is up, and answers, from ``__enter__`` to ``__exit__``. What crashes is started
    again.

    Args:
        store: the address of a store whose channel ``stable`` names a release.
        folder: of logs, keys and the stack's own files; one stack at a time in a folder.
        config: a YAML configuration, that of MovieLens by default.
        overrides: ``section.key=value``; see :func:`serving.stack.apart`.
        ports: free ones by default.
        time_scale: how much faster time goes for all of its processes.
        shadow: whether a shadow server runs. Without one a rollout leaves step shadow only by hand.
        through: ports that the gateway asks in place of a variant's own server: of a proxy, say.
        tell: told in one line of what happens.

    Raises (when entered):
        ConfigError: it is up already, a port is taken, or Envoy is not installed.
        ReleaseError: the channel ``stable`` is empty.
        GatewayError: something did not start in time; the message has the end of its log.
    """

    def __init__(
        self,
        store: str,
        folder: Path,
        *,
        config: Path | None = None,
        overrides: Sequence[str] = (),
        ports: Ports | None = None,
        time_scale: float = 1.0,
        shadow: bool = True,
        through: Mapping[str, int] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.store, self.folder = store, folder
        self.ports = ports or Ports.free()
        raise NotImplementedError

    @property
    def gateway_url(self) -> str:
        """Where users ask: ``POST {gateway_url}/v1/models/recommender:predict``."""
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def events_url(self) -> str:
        """Where events go: ``POST {events_url}/v1/events``. The gateway takes them, too."""
        return f"http://127.0.0.1:{self.ports.events}"

    @property
    def api_key(self) -> str:
        """For ``Authorization: Bearer``; may send outcomes, organic events and items."""
        raise NotImplementedError

    def pid(self, process: str) -> int | None:
        """Of ``stable``, ``candidate``, ``shadow``, ``events``, ``consumer``, ``envoy`` or ``rollout``."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError
