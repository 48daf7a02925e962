"""Every process of the online stack on one machine, as one thing that goes up and down."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from serving.stack.apart import shared
from serving.stack.child import Child, Spec
from serving.stack.clock import stack_scale
from serving.stack.commands import CONSUMER, ENVOY, EVENTS, ROLLOUT, VARIANTS, Commands
from serving.stack.demand import Demand
from serving.stack.keys import Keys, stack_keys
from serving.stack.logs import tail
from serving.stack.ports import Ports
from serving.stack.process import Process, port_of, process_of
from serving.stack.record import Record
from slate.clock import VARIABLE as TIME_SCALE
from slate.clock import Clock, SystemClock
from slate.config import default_config_path, load_config
from slate.errors import GatewayError, ReleaseError
from slate.release.channels import CANDIDATE, SHADOW, STABLE, read_channel
from slate.rollout.traffic.envoy.files import Places
from slate.rollout.traffic.envoy.start import prepare
from slate.storage import open_store

_LOOK_SECONDS: Final = 0.1
_READY_SECONDS: Final = 300.0
#: How often a process may end while the stack starts.
_TRIES: Final = 3


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
        tell: told in one line of what happens, from any thread.

    Raises:
        ConfigError: the configuration is wrong, or ``time_scale`` is.

    Raises (when entered):
        ConfigError: it is up already, a port is taken, or Envoy is not installed.
        GatewayError: something did not start; the message has the end of its log.
        ReleaseError: the channel ``stable`` is empty.
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
        self.store, self.folder = store, folder.absolute()
        self.ports = ports or Ports.free()
        chosen = load_config(config or default_config_path(), overrides)
        self._gateway = Path(chosen.rollout.gateway.folder).absolute()
        self._time_scale, self._shadow, self._tell = time_scale, shadow, tell
        self._servers = {name: getattr(self.ports, name) for name in (*VARIANTS, EVENTS)} | dict(
            through or {}
        )
        self._commands = Commands(
            store, config, [*overrides, *shared(chosen, self._gateway)], self.ports, self.folder / "logs"
        )
        self._record = Record(self.folder)
        self._keys: Keys | None = None
        self._environment: dict[str, str] = {}
        self._children: dict[str, Child] = {}
        self._demand = Demand(open_store(store), tell)
        self._up = False
        self._written: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stack", daemon=True)

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
        """For ``Authorization: Bearer``; empty where ``SLATE_API_KEYS`` has only hashes. Once entered."""
        return self._keys.api_key if self._keys else ""

    @property
    def environment(self) -> Mapping[str, str]:
        """What its processes have besides this one's environment. Once entered."""
        return self._environment

    @property
    def clock(self) -> Clock:
        """The time as its processes know it. Once entered."""
        return SystemClock(stack_scale(self.folder, self._time_scale))

    def processes(self) -> list[Process]:
        """All of them, wanted or not."""
        return [process_of(child, self.ports) for child in self._children.values()]

    def pid(self, process: str) -> int | None:
        """Of ``stable``, ``candidate``, ``shadow``, ``events``, ``consumer``, ``envoy`` or ``rollout``."""
        return self._children[process].pid

    def __enter__(self) -> Self:
        self._record.take()
        try:
            self._begin()
            self._wait((STABLE, EVENTS, CONSUMER))
            self._want((ENVOY,))
            self._wait((ENVOY,))
            # In the middle of a rollout the controller sends users to the candidate at once.
            self._wait([name for name in VARIANTS if self._children[name].wanted], needed=False)
            self._want((ROLLOUT,))
            self._wait((ROLLOUT,))
            self._up = True
            self._write(self._running())
            self._thread.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _begin(self) -> None:
        if read_channel(open_store(self.store), STABLE) is None:
            raise ReleaseError(
                f"{self.store}: channel stable is empty; 'slate run' trains a first release, "
                "'slate releases promote' takes one that is there"
            )
        self.ports.check()
        self._keys = stack_keys(self.folder)
        scale = stack_scale(self.folder, self._time_scale)
        self._environment = {**self._keys.environment, "PYTHONUNBUFFERED": "1"}
        if scale.factor != 1.0:
            self._environment[TIME_SCALE] = str(scale)
        gateway = prepare(self._gateway, Places(self.ports.gateway, self.ports.admin, self._servers))
        commands = self._commands
        self._add(*(commands.server(name) for name in VARIANTS), commands.events(), commands.consumer())
        self._add(commands.envoy(gateway), commands.rollout())
        self._demand.start()
        self._want((STABLE, EVENTS, CONSUMER))

    def _add(self, *specs: Spec) -> None:
        self._children |= {spec.name: Child(spec, self._environment, self._tell) for spec in specs}

    def _want(self, names: Iterable[str]) -> None:
        for name in names:
            self._children[name].wanted = True

    def _wait(self, names: Sequence[str], needed: bool = True) -> None:
        """Until all of these do their work; what is not ``needed`` may fail, or not be wanted any more."""
        ends = time.monotonic() + _READY_SECONDS
        waiting = [self._children[name] for name in names]
        while True:
            self._look()
            late = [child for child in waiting if child.wanted and not child.ready()]
            if not late:
                return
            for child in late:
                if child.failures >= _TRIES or time.monotonic() > ends:
                    if not needed:
                        return
                    log = child.spec.log
                    raise GatewayError(f"{child.spec.name} does not start; the end of {log}:\n{tail(log)}")
            time.sleep(_LOOK_SECONDS)

    def _run(self) -> None:
        said = ""
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self._look()
                said = ""
            except Exception as error:  # Whatever it is: nobody else starts again what crashed.
                if str(error) != said:
                    self._tell(f"the stack cannot look after its processes: {error!r}")
                    said = str(error)

    def _look(self) -> None:
        variants = self._demand.variants()
        self._children[CANDIDATE].wanted = CANDIDATE in variants
        self._children[SHADOW].wanted = SHADOW in variants and self._shadow
        for child in self._children.values():
            child.look()
        running = self._running()
        if running != self._written:
            self._write(running)

    def _running(self) -> dict[str, int]:
        pids = {name: child.pid for name, child in self._children.items()}
        return {name: pid for name, pid in pids.items() if pid is not None}

    def _write(self, running: Mapping[str, int]) -> None:
        facts: dict[str, Any] = {
            "ready": self._up,
            "store": self.store,
            "gateway": self.gateway_url,
            "events": self.events_url,
            "time_scale": self._environment.get(TIME_SCALE, ""),
            "ports": {name: port_of(name, self.ports) for name in self._children},
            "logs": str(self._commands.logs),
        }
        self._record.write(facts, running)
        self._written = dict(running)

    def _end(self) -> None:
        """First nobody asks any more, then nobody answers, and the consumer writes what has come."""
        self._stop.set()
        self._demand.stop()
        if self._thread.is_alive():
            self._thread.join()
        try:
            for names in ((ENVOY, ROLLOUT), (*VARIANTS, EVENTS), (CONSUMER,)):
                self._end_of([self._children[name] for name in names if name in self._children])
        finally:
            for child in self._children.values():
                child.kill()
            self._record.give_back()

    def _end_of(self, children: Sequence[Child]) -> None:
        for child in children:
            child.wanted = False
        while not all(child.gone for child in children):
            for child in children:
                child.look()
            time.sleep(_LOOK_SECONDS / 2)
