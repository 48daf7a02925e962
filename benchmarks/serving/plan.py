"""How much is measured, and for how long."""

from dataclasses import dataclass
from typing import Final

from benchmarks.serving.contenders import CONTENDERS, SLATE, STOCK

#: What can be measured, in the order in which it is.
MEASURES: Final = ("bare", "capacity", "latency", "overload", "noop", "swaps", "faults")


@dataclass(frozen=True)
class Plan:
    """Size of the catalogue, users, who takes part, rounds, and seconds of each single run.

    ``starts`` is how often this project's server is started, for the first request; ``swaps_s`` bounds all
    swaps together; ``after_s`` is the time in which a server must find back from an overload.
    """

    items: int
    users: int
    contenders: tuple[str, ...]
    starts: int
    bare_s: float
    capacity_rounds: int
    capacity_s: float
    latency_rounds: int
    latency_s: float
    overload_rounds: int
    overload_s: float
    after_s: float
    noop_rounds: int
    noop_s: float
    swaps: int
    swaps_s: float
    swap_items: int
    fault_rounds: int


FULL: Final = Plan(
    items=1_000_000,
    users=20_000,
    contenders=tuple(CONTENDERS),
    starts=3,
    bare_s=1.0,
    capacity_rounds=3,
    capacity_s=2.0,
    latency_rounds=3,
    latency_s=3.0,
    overload_rounds=3,
    overload_s=4.0,
    after_s=5.5,
    noop_rounds=3,
    noop_s=2.0,
    swaps=50,
    swaps_s=600.0,
    swap_items=100_000,
    fault_rounds=3,
)
QUICK: Final = Plan(
    items=100_000,
    users=5_000,
    contenders=(SLATE, STOCK),
    starts=1,
    bare_s=0.6,
    capacity_rounds=1,
    capacity_s=1.2,
    latency_rounds=1,
    latency_s=1.5,
    overload_rounds=1,
    overload_s=1.5,
    after_s=1.0,
    noop_rounds=1,
    noop_s=1.0,
    swaps=2,
    swaps_s=20.0,
    swap_items=5_000,
    fault_rounds=1,
)
