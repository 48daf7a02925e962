"""One run of everything: servers side by side, measured in turns, those not measured standing still."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.serving import capacity, noop, overload, swaps
from benchmarks.serving.contenders import CONTENDERS, SLATE, STOCK, Running
from benchmarks.serving.drive import Bench
from benchmarks.serving.environments import ROOT, MissingError
from benchmarks.serving.plan import Plan
from benchmarks.serving.summary import median, medians
from benchmarks.serving.synthetic import Size
from benchmarks.serving.worlds import World, synthetic

#: The load at which all are compared, as a share of the stock server's saturation, and the fixed one.
SHARE: Final = 0.8
FIXED: Final = 100.0
_SWAP_WORLDS: Final = ("a", "b", "c")
_SWAP_USERS: Final = 500
_LONGEST_S: Final = 600.0


@dataclass
class Session:
    """What is measured, where, and what could not be."""

    bench: Bench
    plan: Plan
    measures: Sequence[str]
    say: Callable[[str], None]
    skipped: dict[str, str] = field(default_factory=dict)

    def wants(self, measure: str) -> bool:
        return measure in self.measures

    def world(self, world: World, names: Sequence[str], more: bool = True) -> dict[str, Any]:
        """All that is measured on one release by the servers ``names``; ``more`` includes overload."""
        found: dict[str, Any] = {"items": world.items, "release_id": world.release_id}
        if not any(self.wants(each) for each in ("capacity", "latency", "overload")):
            if self.wants("bare"):
                found["bare"] = self._bare(world)
            return found
        servers = self._start(world, names, found)
        try:
            self._servers(world, servers, found, more)
        finally:
            for running in servers.values():
                running.stop()
        return found

    def noop(self) -> dict[str, Any]:
        self.say("requests that compute nothing: this server and stock KServe")
        return noop.measure(self.bench, self.plan.noop_rounds, self.plan.noop_s)

    def swaps(self) -> dict[str, Any]:
        worlds = self._swap_worlds()
        self.say(f"{self.plan.swaps} swaps under {swaps.LOAD:.0%} load")
        return swaps.measure(self.bench, worlds, self.plan.swaps, self.plan.swaps_s, self.plan.capacity_s)

    def faults(self) -> dict[str, Any]:
        self.say("four stages in six kinds of trouble")
        found: dict[str, Any] = self._child(
            "faults", str(self._swap_worlds()[0].folder), str(self.plan.fault_rounds)
        )
        return found

    def _swap_worlds(self) -> list[World]:
        items, cache = self.plan.swap_items, self.bench.cache
        return [
            synthetic(Size(items, _SWAP_USERS, prefix), cache, self.say, seed)
            for seed, prefix in enumerate(_SWAP_WORLDS)
        ]

    def _start(self, world: World, names: Sequence[str], found: dict[str, Any]) -> dict[str, Running]:
        servers: dict[str, Running] = {}
        found["starts"] = {}
        for name in names:
            self.say(f"{world.name}: starting {name}")
            try:
                servers[name], found["starts"][name] = self._started(name, world)
            except MissingError as error:
                self.skipped[name] = str(error)
                self.say(f"{name}: skipped, {error}")
                continue
            servers[name].pause()
        return servers

    def _started(self, name: str, world: World) -> tuple[Running, dict[str, Any]]:
        """The server after its last start, and medians of all its starts."""
        seen = []
        for left in reversed(range(self.plan.starts if name == SLATE else 1)):
            running = self.bench.start(CONTENDERS[name], world)
            seen.append(
                {
                    "ready_s": running.ready_s,
                    "first_ms": running.first_ms,
                    "memory_mib": running.memory,
                }
            )
            if left:
                running.stop()
        return running, {**medians(seen), "starts": len(seen)}

    def _servers(
        self, world: World, servers: Mapping[str, Running], found: dict[str, Any], more: bool
    ) -> None:
        plan, rounds = self.plan, max(1, self.plan.capacity_rounds)
        capacities: dict[str, list[capacity.Capacity]] = {name: [] for name in servers}
        bare = []
        for round_ in range(rounds):
            if self.wants("bare"):
                bare.append(self._bare(world))
            for name in self._turns(
                servers, f"{world.name}: capacity, round {round_ + 1} of {rounds}", world
            ):
                # The ratios hang on these two; the others are there for comparison.
                if round_ == 0 or name in (SLATE, STOCK):
                    capacities[name].append(capacity.find(self.bench, servers[name], world, plan.capacity_s))
        if bare:
            found["bare"] = {size: medians([each[size] for each in bare]) for size in bare[0]}
        found["capacity"] = {
            name: {
                "saturation": median(c.saturation for c in each),
                "peak_goodput": median(c.peak_goodput for c in each),
                "closed": median(c.closed for c in each),
                "rounds": len(each),
                "steps": [step for c in each for step in c.steps],
            }
            for name, each in capacities.items()
        }
        if self.wants("latency"):
            found["latency"] = self._latency(world, servers)
        saturation = found["capacity"].get(SLATE, {}).get("saturation")
        if more and self.wants("overload") and saturation:
            found["overload"] = self._overload(world, servers[SLATE], saturation)

    def _bare(self, world: World) -> dict[str, dict[str, float]]:
        """What the stages do without a server, by batch size."""
        self.say(f"{world.name}: the four stages without a server")
        found: dict[str, dict[str, float]] = self._child("bare", str(world.folder), str(self.plan.bare_s))
        return found

    def _overload(self, world: World, running: Running, saturation: float) -> list[dict[str, Any]]:
        plan, seen = self.plan, []
        for round_ in range(plan.overload_rounds):
            about = f"{world.name}: overload, round {round_ + 1} of {plan.overload_rounds}"
            for _ in self._turns({SLATE: running}, about, world):
                seen.append(
                    overload.measure(self.bench, running, world, saturation, plan.overload_s, plan.after_s)
                )
        return overload.together(seen)

    def _latency(self, world: World, servers: Mapping[str, Running]) -> dict[str, Any]:
        rates: dict[str, list[float]] = {}
        seen: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for round_ in range(self.plan.latency_rounds):
            about = f"{world.name}: latency, round {round_ + 1} of {self.plan.latency_rounds}"
            offered = {"fixed": FIXED, **self._shared(world, servers, about)}
            for kind, rate in offered.items():
                rates.setdefault(kind, []).append(rate)
            for name in self._turns(servers, about, world):
                for kind, rate in offered.items():
                    told = self.bench.summary(
                        servers[name], world, rate, self.plan.latency_s, seed=round_ + 1
                    )
                    seen.setdefault(kind, {}).setdefault(name, []).append(told.plain())
        self.say(f"{world.name}: the four stages without a server at the same rates")
        middle = {kind: median(each) for kind, each in rates.items()}
        figures = (self.bench.deadline_ms, self.plan.latency_s, self.plan.latency_rounds, *middle.values())
        alone = self._child("paced", str(world.folder), *map(str, figures))
        return {
            kind: {
                "rate": round(middle[kind], 1),
                "rates": [round(rate, 1) for rate in rates[kind]],
                "servers": {name: medians(told) for name, told in seen[kind].items()},
                "alone": told_alone,
            }
            for kind, told_alone in zip(seen, alone, strict=True)
        }

    def _shared(self, world: World, servers: Mapping[str, Running], about: str) -> dict[str, float]:
        """A share of what stock KServe sustains now: a machine's speed changes within minutes."""
        if STOCK not in servers:
            return {}
        found = 0.0
        for name in self._turns({STOCK: servers[STOCK]}, f"{about}: what {STOCK} sustains now", world):
            found = capacity.find(self.bench, servers[name], world, self.plan.capacity_s).saturation
        return {"shared": SHARE * found} if found else {}

    def _turns(self, servers: Mapping[str, Running], about: str, world: World) -> Iterable[str]:
        """Each server in turn, awake and warm, while the others stand still."""
        self.say(about)
        for name, running in servers.items():
            running.resume()
            self.bench.warm(running, world)
            yield name
            running.pause()

    def _child(self, module: str, *words: str) -> Any:
        """What a module of this package prints as JSON, on the server's core."""
        command = [
            "taskset",
            "-c",
            self.bench.server_core,
            sys.executable,
            "-m",
            f"benchmarks.serving.{module}",
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        log: Path = self.bench.work / f"{module}.log"
        with log.open("wb") as sink:
            done = subprocess.run(
                [*command, *words],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=sink,
                timeout=_LONGEST_S,
                check=False,
            )
        if done.returncode:
            raise MissingError(f"{module}: {log.read_text(errors='replace')[-600:].strip()}")
        return json.loads(done.stdout.splitlines()[-1])
