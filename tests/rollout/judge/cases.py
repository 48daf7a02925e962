"""The decision table: every way in which evidence can be whole, clear, unclear, missing or broken."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from slate.config import RolloutConfig
from slate.rollout.judge.cuped import Pair
from slate.rollout.judge.evidence import Arms, Block, Evidence, Requests, Step
from slate.rollout.judge.guardrails import RATES
from slate.rollout.judge.sequences import Sample
from slate.rollout.judge.shadow import Likeness
from slate.rollout.judge.verdict import Decision

START = datetime(2026, 6, 1, tzinfo=UTC)
NOW = START + timedelta(hours=2)
CONFIG = RolloutConfig(minimum_users=100)
EQUAL = RolloutConfig(minimum_users=100, objective="non_inferiority", margin=0.05)
FIRST = Step("r-1", "1", 1, START, START)
LAST = Step("r-1", "50", 50, START, START)
SHADOW = Step("r-1", "shadow", 0, START, START)
CLIMBS = (Decision.ADVANCE, Decision.PROMOTE)


def blocks(errors: int = 0, slower: float = 1.0, count: int = 120, **candidate: Any) -> tuple[Block, ...]:
    """One a minute; the stable arm has 1 error in 1,000 requests and takes 100 ms, give or take some."""
    return tuple(
        Block(
            START + timedelta(minutes=place),
            60.0,
            Requests(1000, 1, 100.0 + place % 5),
            Requests(**(
                {"requests": 1000, "errors": 1 + errors, "p99_ms": (100.0 + place % 7) * slower} | candidate
            )),
        )
        for place in range(count)
    )  # fmt: skip


def rates(name: str = "", candidate: Sample | None = None, count: float = 20_000) -> dict[str, Arms[Sample]]:
    usual = Sample(count, 0.2, 0.04)
    found = {each: Arms(usual, usual) for each in RATES}
    return found | ({name: Arms(usual, candidate)} if name and candidate else {})


def engaged(mean: float = 2.0, variance: float = 4.0, count: float = 20_000) -> Arms[Pair]:
    def arm(value: float) -> Pair:
        return Pair(count, value, variance, 1.0, 1.0, 0.5)

    return Arms(arm(2.0), arm(mean))


LAST_USERS, FIRST_USERS = Arms(20_000, 20_000), Arms(198_000, 2000)
GOOD = Evidence(newest=NOW, users=LAST_USERS, engagement=engaged(2.2), rates=rates(), blocks=blocks())
SAME = replace(GOOD, engagement=engaged(2.0))
BELOW = replace(GOOD, engagement=engaged(1.8))
ALIKE = Likeness(1000, 0.0, 0.7, 0.6, 0.1, 0.05)
LIKENESS: tuple[Any, ...] = ("failed", "overlap", "rank_biased", "score_drift", "slower")
NAN = math.nan
UNKNOWN = Sample(20_000, NAN, NAN)
LATE = NOW - timedelta(minutes=10)

NOTHING = Pair(500, 0.0, 0.0, 0.0, 0.0, 0.0)
CRASHED = replace(blocks()[-1], candidate=Requests(30, 29, None))
FAILING = tuple(
    replace(block, candidate=Requests(1000, 20 + place % 9, 100.0 + place % 7))
    for place, block in enumerate(blocks())
)

Change = dict[str, Any]
NOTHING_ELSE: Change = {"users": None, "engagement": None, "rates": {}, "blocks": None, "newest": None}
# What differs from GOOD, and what has to follow in the first step and in the last one.
TABLE: list[tuple[str, Change, str, str]] = [
    ("all is well", {}, "advance", "promote"),
    ("no difference", {"engagement": engaged(2.0)}, "advance", "hold"),
    ("a little better", {"engagement": engaged(2.03)}, "advance", "hold"),
    ("worse", {"engagement": engaged(1.8)}, "abort", "abort"),
    ("a little worse", {"engagement": engaged(1.97)}, "advance", "hold"),
    ("few users", {"engagement": engaged(2.2, count=99)}, "hold", "hold"),
    ("no users through", {"engagement": engaged(NAN, NAN, 0)}, "hold", "hold"),
    ("engagement unknown", {"engagement": None}, "hold", "hold"),
    ("engagement is NaN", {"engagement": engaged(NAN)}, "hold", "hold"),
    ("engagement is infinite", {"engagement": engaged(math.inf)}, "hold", "hold"),
    ("variance is NaN", {"engagement": engaged(2.2, NAN)}, "hold", "hold"),
    ("nobody does anything", {"engagement": Arms(NOTHING, NOTHING)}, "hold", "hold"),
    ("users unknown", {"users": None}, "hold", "hold"),
    ("candidate's users lost", {"users": Arms(198_000, 1500)}, "abort", "abort"),
    ("no candidate user at all", {"users": Arms(198_000, 0)}, "abort", "abort"),
    ("no stable user at all", {"users": Arms(0, 2000)}, "abort", "abort"),
    ("users cross over", {"crossed": 2000}, "hold", "hold"),
    ("stale", {"newest": LATE}, "hold", "hold"),
    ("from the future", {"newest": NOW + timedelta(hours=1)}, "hold", "hold"),
    ("an empty log", {"newest": None}, "hold", "hold"),
    ("a query failed", {"problems": ("outcomes: cannot be read",)}, "hold", "hold"),
    ("the gateway is silent", {"blocks": None}, "hold", "hold"),
    ("the gateway has nothing", {"blocks": ()}, "hold", "hold"),
    ("the gateway stopped", {"blocks": blocks(count=100)}, "hold", "hold"),
    ("a gap in the gateway's blocks", {"blocks": blocks()[:30] + blocks()[50:]}, "hold", "hold"),
    ("blocks out of order", {"blocks": blocks()[::-1]}, "hold", "hold"),
    ("blocks without requests", {"blocks": blocks(requests=0, errors=0, p99_ms=None)}, "hold", "hold"),
    ("p99 unknown", {"blocks": blocks(p99_ms=None)}, "hold", "hold"),
    ("p99 is NaN", {"blocks": blocks(p99_ms=NAN)}, "hold", "hold"),
    ("p99 is 0", {"blocks": blocks(p99_ms=0.0)}, "hold", "hold"),
    ("slow", {"blocks": blocks(slower=1.6)}, "abort", "abort"),
    ("a little slower", {"blocks": blocks(slower=1.1)}, "advance", "promote"),
    ("just as slow as allowed", {"blocks": blocks(slower=1.24)}, "hold", "hold"),
    ("errors", {"blocks": FAILING}, "abort", "abort"),
    ("a few more errors", {"blocks": blocks(errors=2)}, "advance", "promote"),
    ("crashed a moment ago", {"blocks": (*blocks()[:-1], CRASHED)}, "abort", "abort"),
    ("crashed, and all else is missing", NOTHING_ELSE | {"blocks": (CRASHED,)}, "abort", "abort"),
    ("all is missing", NOTHING_ELSE, "hold", "hold"),
]  # fmt: skip
for name in RATES:
    sign = -1 if name == "coverage" else 1
    same = Sample(9000, 0.1, 0.0)
    TABLE += [
        (f"{name} worse", {"rates": rates(name, Sample(9000, 0.2 + sign * 0.15, 0.04))}, "abort", "abort"),
        (f"{name} better", {"rates": rates(name, Sample(9000, 0.2 - sign / 10, 0.04))}, "advance", "promote"),
        (f"{name} unclear", {"rates": rates(name, Sample(100, 0.2, 4.0))}, "hold", "hold"),
        (f"{name} of nobody", {"rates": rates(name, Sample(0, NAN, NAN))}, "hold", "hold"),
        (f"{name} is NaN", {"rates": rates(name, UNKNOWN)}, "hold", "hold"),
        (f"{name} of no variance", {"rates": {**rates(), name: Arms(same, same)}}, "hold", "hold"),
        (f"{name} missing", {"rates": {n: a for n, a in rates().items() if n != name}}, "hold", "hold"),
    ]
