"""What was aimed at, and whether it was reached."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.serving.contenders import SLATE, STOCK


@dataclass(frozen=True)
class Target:
    """``value`` should be at most (``most``) or at least ``bound``."""

    name: str
    value: float
    bound: float
    most: bool

    @property
    def met(self) -> bool:
        return self.value <= self.bound if self.most else self.value >= self.bound

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "value": round(self.value, 3), "met": self.met}


def targets(results: Mapping[str, Any]) -> list[Target]:
    """Every target that these results speak of."""
    found = [each for name, world in results.get("worlds", {}).items() for each in _of_world(name, world)]
    if "noop" in results:
        ratio = results["noop"]["connections_16"]["ratio"]
        found.append(Target("requests that compute nothing, over stock KServe", ratio, 3.0, most=False))
    if "swaps" in results:
        found += _of_swaps(results["swaps"])
    if "faults" in results:
        beyond = results["faults"]["beyond_ms"]
        found.append(Target("24 troubles: worst answer beyond the deadline, ms", beyond, 10.0, most=True))
    return found


def _of_world(name: str, world: Mapping[str, Any]) -> Iterator[Target]:
    latency = world.get("latency", {})
    shared, fixed = (latency.get(kind, {}).get("servers", {}) for kind in ("shared", "fixed"))
    pair = [_p99(shared, each) for each in (SLATE, STOCK)]
    if pair[0] and pair[1]:
        yield Target(
            f"{name}: p99 over stock KServe's at 80% of its saturation", pair[0] / pair[1], 0.25, most=True
        )
    own = world.get("capacity", {}).get(SLATE, {}).get("saturation")
    if own and "bare" in world:
        limit = max(each["requests_per_s"] for each in world["bare"].values())
        yield Target(f"{name}: sustained throughput over the bare stages", own / limit, 0.7, most=False)
    steady = _p99(fixed, SLATE)
    if steady:
        yield Target(f"{name}: p99 at 100 requests a second, ms", steady, 20.0, most=True)
        first = world["starts"][SLATE]["first_ms"] / steady
        yield Target(f"{name}: first request over steady p99", first, 2.0, most=True)
    if "overload" in world:
        yield from _of_overload(name, world["overload"])


def _of_overload(name: str, steps: list[Mapping[str, Any]]) -> Iterator[Target]:
    said: list[tuple[str, str, float, bool, Callable[[list[float]], float]]] = [
        ("goodput over its peak or what was offered, 1 to 10 times saturation", "of_peak", 0.9, False, min),
        ("p99 of refusals, ms", "refused_p99", 10.0, True, max),
        ("recovery from overload, s", "recovery_s", 5.0, True, max),
    ]
    for text, key, bound, most, worst in said:
        values = [step[key] for step in steps if step[key] is not None]
        if values:
            yield Target(f"{name}: {text}", worst(values), bound, most)


def _of_swaps(swaps: Mapping[str, Any]) -> Iterator[Target]:
    yield Target("swaps that were made", swaps["swaps"], swaps["wanted"], most=False)
    yield Target("swaps: failed requests", swaps["failed"], 0, most=True)
    yield Target("swaps: answers that mix releases", swaps["mixed"], 0, most=True)
    if swaps["ratio"]:
        yield Target("swaps: p99 during over steady", swaps["ratio"], 1.5, most=True)


def _p99(servers: Mapping[str, Any], name: str) -> float | None:
    p99: float | None = servers.get(name, {}).get("p99")
    return p99
