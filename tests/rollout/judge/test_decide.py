"""Decisions: the table, what breaks, what is lost, and what is written down."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.config import RolloutConfig
from slate.errors import StorageError
from slate.rollout.judge.cuped import Pair
from slate.rollout.judge.decide import blind_since, decide, look
from slate.rollout.judge.evidence import Arms, Evidence, Step
from slate.rollout.judge.guardrails import RATES
from slate.rollout.judge.sequences import Sample
from slate.rollout.judge.shadow import Likeness
from slate.rollout.judge.verdict import Verdict
from tests.rollout.judge.cases import (
    ALIKE,
    BELOW,
    CLIMBS,
    CONFIG,
    EQUAL,
    FIRST,
    FIRST_USERS,
    GOOD,
    LAST,
    LAST_USERS,
    LIKENESS,
    NAN,
    NOW,
    SAME,
    SHADOW,
    START,
    TABLE,
    Change,
    blocks,
    engaged,
    rates,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "first", "last"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_table(change: Change, first: str, last: str) -> None:
    assert decide(replace(GOOD, **_but(change)), FIRST, CONFIG, NOW).decision == first
    assert decide(replace(GOOD, **_at_half(change)), LAST, CONFIG, NOW).decision == last


def _but(change: Change) -> Change:
    return change | ({"users": FIRST_USERS} if "users" not in change else {})


def _at_half(change: Change) -> Change:
    users = change.get("users")
    return change | ({"users": Arms(20_000, 18_000)} if users == Arms(198_000, 1500) else {})


def test_the_table_is_long_enough() -> None:
    assert 2 * len(TABLE) >= 120


@pytest.mark.parametrize("variance", [0.0, NAN])
def test_no_certainty_from_no_variance(variance: float) -> None:
    verdict = decide(
        replace(GOOD, engagement=engaged(2.2, variance)), LAST, replaced(CONFIG, cuped=False), NOW
    )
    assert (verdict.decision, verdict.blind) == ("hold", True)


def replaced(config: RolloutConfig, **changes: Any) -> RolloutConfig:
    return RolloutConfig(**(config.model_dump() | changes))


@pytest.mark.parametrize(
    ("evidence", "decision"),
    [
        (GOOD, "promote"),
        (SAME, "promote"),
        (BELOW, "abort"),
        (replace(GOOD, engagement=engaged(1.95)), "hold"),
    ],
)
def test_an_identical_candidate_is_promoted_where_not_worse_is_enough(
    evidence: Evidence, decision: str
) -> None:
    assert decide(evidence, LAST, EQUAL, NOW).decision == decision


def test_time_alone_never_promotes_and_ends_in_the_end() -> None:
    config = replaced(CONFIG, limit_s=10_000.0)
    soon, late = START + timedelta(minutes=59), START + timedelta(seconds=10_061)
    early = replace(GOOD, newest=soon, blocks=blocks(count=59))
    assert decide(early, LAST, config, soon).decision == "hold"
    long = replace(SAME, newest=late, blocks=blocks(count=167))
    assert decide(long, LAST, config, late).decision == "inconclusive"
    assert decide(replace(long, engagement=engaged(2.2)), LAST, config, late).decision == "promote"


def fails() -> Evidence:
    raise StorageError("outcomes: the store does not answer; look again")


def breaks() -> Evidence:
    raise ZeroDivisionError("division by zero")


def tells_nonsense() -> Evidence:
    return None  # type: ignore[return-value]


@pytest.mark.parametrize("gather", [fails, breaks, tells_nonsense])
@pytest.mark.parametrize("step", [SHADOW, FIRST, LAST, Step("r-1", "7", 7, START, START)])
def test_a_judge_that_breaks_holds_and_then_aborts(gather: Callable[[], Evidence], step: Step) -> None:
    first = look(gather, step, CONFIG, NOW)
    assert (first.decision, first.blind) == ("hold", True)
    assert "judge failed" in first.reasons[0]
    later = NOW + timedelta(seconds=CONFIG.blind_s)
    since = blind_since([first], step.name)
    assert since == NOW
    assert look(gather, step, CONFIG, later - timedelta(seconds=1), since).decision == "hold"
    assert look(gather, step, CONFIG, later, since).decision == "abort"


def test_a_step_that_the_config_does_not_have_never_climbs() -> None:
    verdict = look(lambda: GOOD, Step("r-1", "7", 7, START, START), CONFIG, NOW)
    assert verdict.decision == "hold"
    assert "rollout.steps" in verdict.reasons[0]


def test_blindness_counts_from_the_last_sight_of_this_step() -> None:
    def verdict(minute: int, blind: bool, step: str = "1") -> Verdict:
        found = look(
            fails if blind else lambda: SAME,
            replace(FIRST, name=step),
            CONFIG,
            START + timedelta(minutes=minute),
        )
        return found.model_copy(update={"blind": blind})

    seen = [verdict(0, True), verdict(1, False), verdict(2, True), verdict(3, True)]
    assert blind_since(seen, "1") == START + timedelta(minutes=2)
    assert blind_since(seen, "5") is None
    assert blind_since(seen[:2], "1") is None
    assert blind_since([], "1") is None


@pytest.mark.parametrize(
    ("found", "decision"),
    [
        (ALIKE, "advance"),
        (None, "hold"),
        (replace(ALIKE, requests=499), "hold"),
        (replace(ALIKE, requests=0, failed=NAN), "hold"),
        (replace(ALIKE, failed=0.02), "abort"),
        (replace(ALIKE, failed=1.0, overlap=NAN, rank_biased=NAN, score_drift=NAN, slower=NAN), "abort"),
        (replace(ALIKE, overlap=0.2), "abort"),
        (replace(ALIKE, rank_biased=0.2), "abort"),
        (replace(ALIKE, score_drift=0.6), "abort"),
        (replace(ALIKE, slower=0.51), "abort"),
        *((replace(ALIKE, **{name: NAN}), "hold") for name in LIKENESS),
    ],
)  # fmt: skip
def test_shadow(found: Likeness | None, decision: str) -> None:
    config = replaced(CONFIG, shadow={"overlap": 0.3, "rank_biased": 0.3, "score_drift": 0.5})
    assert decide(Evidence(shadow=found), SHADOW, config, NOW).decision == decision
    problem = decide(Evidence(shadow=found, problems=("x",)), SHADOW, config, NOW)
    assert problem.decision != "advance"
    assert decide(Evidence(shadow=found), SHADOW, config, START + timedelta(minutes=1)).decision != "advance"


def test_a_verdict_says_everything_and_reads_back() -> None:
    verdict = decide(replace(GOOD, engagement=engaged(NAN)), LAST, CONFIG, NOW)
    text = verdict.to_json()
    assert "NaN" not in text
    assert Verdict.from_json(text) == verdict
    record = json.loads(decide(GOOD, LAST, CONFIG, NOW).to_json())
    assert (record["schema"], record["decision"], record["step"]) == (1, "promote", "50")
    checks = {check["name"]: check for check in record["checks"]}
    assert set(checks) == {"sample_ratio", "engagement", "errors", "p99", *RATES}
    assert checks["engagement"]["low"] > 0
    assert checks["engagement"]["candidate"] == 2.2
    assert all(check["reason"] for check in record["checks"])
    assert all(check["value"] is not None and check["threshold"] is not None for check in record["checks"])


def less(evidence: Evidence, draw: Callable[[Any], Any]) -> Evidence:
    """Without some of it: a source, an arm, a figure, the newest part, or some of the users of both arms."""
    changes: Change = {}
    for source in draw(st.lists(st.sampled_from(["newest", "users", "engagement", "blocks"]), unique=True)):
        changes[source] = None
    kept = draw(st.lists(st.sampled_from(RATES), unique=True))
    changes["rates"] = {name: evidence.rates[name] for name in kept}
    if draw(st.booleans()) and "blocks" not in changes and evidence.blocks:
        changes["blocks"] = evidence.blocks[: draw(st.integers(0, len(evidence.blocks)))]
    share = draw(st.floats(0, 1))
    if "engagement" not in changes and evidence.engagement:
        arms = [replace(arm, count=float(np.floor(arm.count * share))) for arm in evidence.engagement]
        lost = draw(st.sampled_from([None, 0, 1]))
        if lost is not None:
            arms[lost] = Pair(0, *(NAN,) * 5)
        changes["engagement"] = Arms(*arms)
    return replace(evidence, **changes)


BASES = [
    (step, config, replace(evidence, users=LAST_USERS if step is LAST else FIRST_USERS))
    for step in (FIRST, LAST)
    for config in (CONFIG, EQUAL)
    for evidence in (
        GOOD, SAME, BELOW,
        replace(GOOD, engagement=engaged(2.03)), replace(GOOD, engagement=engaged(1.95)),
        replace(GOOD, rates=rates("fallback", Sample(100, 0.2, 4.0))),
        replace(GOOD, rates=rates("coverage", Sample(9000, 0.1, 0.04))),
        replace(GOOD, blocks=blocks(slower=1.24)), replace(GOOD, problems=("x",)),
    )
]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(BASES), st.data())
def test_less_data_never_lets_a_candidate_climb(
    base: tuple[Step, RolloutConfig, Evidence], data: st.DataObject
) -> None:
    step, config, evidence = base
    if decide(evidence, step, config, NOW).decision in CLIMBS:
        return
    found = decide(less(evidence, data.draw), step, config, NOW)
    assert found.decision not in CLIMBS, found.reasons


@pytest.mark.parametrize("source", ["newest", "users", "engagement", "blocks", *RATES])
@pytest.mark.parametrize(("step", "config", "evidence"), BASES)
def test_a_source_that_is_gone_never_lets_a_candidate_climb(
    step: Step, config: RolloutConfig, evidence: Evidence, source: str
) -> None:
    kept = {name: arms for name, arms in evidence.rates.items() if name != source}
    change = {"rates": kept} if source in RATES else {source: None}
    assert decide(replace(evidence, **change), step, config, NOW).decision not in CLIMBS
