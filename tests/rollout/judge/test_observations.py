"""Observations worked by hand, from files as the consumer writes them."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.config import Event, RolloutConfig
from slate.errors import DataError
from slate.feedback import tables
from slate.rollout.judge.evidence import Arms, Step
from slate.rollout.judge.guardrails import careful, rate
from slate.rollout.judge.observations import read_evidence
from slate.rollout.judge.sequences import sample
from slate.storage import LocalStore

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = START + timedelta(hours=3)
STEP = Step("r-1", "50", 50, START, START)
EVENTS = {"like": Event(weight=1), "watch": Event(weight=0.5, weight_by="value"), "hide": Event(weight=-2)}
CONFIG = RolloutConfig(window_s=3600, guardrail_window_s=600, settle_s=60, coverage_users=2)


def shown(user: str, minute: float, variant: str, items: str, **changes: Any) -> dict[str, Any]:
    return {
        "exposure_id": f"{user}-{minute}",
        "timestamp": START + timedelta(minutes=minute),
        "user_id": user,
        "rollout_id": "r-1",
        "step": "50",
        "assigned_variant": variant,
        "served_variant": "stable",
        "release_id": "a",
        "rung": "personalised",
        "items": [{"item_id": item, "position": place} for place, item in enumerate(items, start=1)],
    } | changes


def did(user: str, minute: float, event: str, value: float | None = None, **changes: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=minute)
    return {
        "event_id": f"{user}-{minute}",
        "user_id": user,
        "item_id": "x",
        "event": event,
        "value": value,
        "timestamp": at,
        "received": at,
        "organic": False,
        "rollout_id": "r-1",
        "step": "50",
        "assigned_variant": "stable",
        "release_id": "a",
    } | changes


EXPOSURES = [
    shown("ann", 0, "stable", "abc"),
    shown("ann", 5, "stable", "abd"),
    shown("ann", 5, "stable", "abd"),  # Written again under its id.
    shown("ann", 20, "stable", "abc", rung="static"),  # After ann's ten minutes.
    shown("bob", 1, "stable", "", rung="popular"),
    shown("cat", 2, "candidate", "ae"),
    shown("cat", 3, "candidate", "ae", rung="popular"),
    shown("dan", 4, "candidate", "ae"),
    shown("eve", 150, "candidate", "zz"),  # The guardrails' time is over, the hour is not.
    shown("fay", 179, "stable", "a"),  # Neither is.
    shown("gus", 1, "stable", "a"),
    shown("gus", 2, "candidate", "a"),  # Crossed.
    shown("hal", 1, "stable", "a", step="25"),
    shown("ida", 1, "stable", "a", rollout_id="r-0"),
    shown("jim", 1, "stable", "a", rollout_id=None, step=None),
]
OUTCOMES = [
    did("ann", -30, "like", rollout_id=None),  # Before the rollout.
    did("ann", -61, "like", rollout_id=None),  # Too long before.
    did("ann", 1, "like"),
    did("ann", 1, "like"),  # Written again under its id.
    did("ann", 59.9, "watch", 4.0),
    did("ann", 60, "like"),  # The hour is over.
    did("ann", 2, "hide", step="25"),  # Of a slate of the step before.
    did("ann", 3, "dance"),  # Not an event of ours.
    did("bob", 2, "hide"),
    did("cat", 3, "like"),
    did("cat", 4, "watch"),  # Without a value.
    did("eve", 151, "like"),
]


def written(folder: Path, exposures: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> LocalStore:
    store = LocalStore(folder)
    parts = (("exposures", tables.EXPOSURES, exposures), ("outcomes", tables.OUTCOMES, outcomes))
    for name, schema, rows in parts:
        half = len(rows) // 2
        for place, some in enumerate((rows[:half], rows[half:])):
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist(some, schema=schema), sink)
            store.write_new(f"{name}/date=2026-06-01/000-{place}.parquet", sink.getvalue().to_pybytes())
    return store


def test_a_step_by_hand(tmp_path: Path) -> None:
    store = written(tmp_path, EXPOSURES, OUTCOMES)
    found = read_evidence(store, EVENTS, STEP, CONFIG, NOW)
    assert found.newest == START + timedelta(minutes=179)
    assert found.users is not None
    assert sum(found.users) == 7  # Gus is counted, with either variant.
    assert found.crossed == 1
    assert found.engagement is not None
    stable, candidate = found.engagement
    # Ann has 1 + 2, bob -2; cat has 1, dan 0.
    assert (stable.count, stable.mean, stable.variance) == (2, 0.5, 12.5)
    assert (candidate.count, candidate.mean, candidate.variance) == (2, 0.5, 0.5)
    assert (stable.covariate_mean, stable.covariance) == (0.5, 2.5)
    assert candidate.covariate_variance == 0
    # Ann's two slates and bob's one; cat's two, dan's and eve's.
    assert means(found.rates["empty_slates"]) == pytest.approx((1 / 3, 0.0))
    assert means(found.rates["fallback"]) == pytest.approx((1 / 3, 1 / 4))
    assert means(found.rates["repeats"]) == pytest.approx((2 / 6, (2 + 1) / 8))
    assert means(found.rates["negative_actions"]) == pytest.approx((0.5, 0.0))
    # First slates: abc and none; ae and ae, eve's group is not full.
    assert means(found.rates["coverage"]) == pytest.approx((1.0, 0.5))
    assert [int(arm.count) for arm in found.rates["fallback"]] == [2, 3]
    assert [int(arm.count) for arm in found.rates["coverage"]] == [1, 1]


def means(arms: Arms[Any]) -> tuple[float, float]:
    return (arms.stable.mean, arms.candidate.mean)


def test_a_user_enters_when_the_time_is_over_and_never_changes(tmp_path: Path) -> None:
    store = written(tmp_path, EXPOSURES, OUTCOMES)
    counts = []
    for minute in (60, 61, 62, 64, 65, 211.1):
        found = read_evidence(store, EVENTS, STEP, CONFIG, START + timedelta(minutes=minute)).engagement
        assert found is not None
        counts.append((int(found.stable.count), int(found.candidate.count)))
    assert counts == [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3)]


def test_an_empty_log_is_no_error_and_no_evidence(tmp_path: Path) -> None:
    found = read_evidence(LocalStore(tmp_path), EVENTS, STEP, CONFIG, NOW)
    assert found.newest is None
    assert found.users == (0, 0)
    assert found.engagement is not None
    assert math.isnan(found.engagement.stable.mean)
    assert all(arm.count == 0 for arms in found.rates.values() for arm in arms)


def test_a_torn_file_is_an_error(tmp_path: Path) -> None:
    store = written(tmp_path, EXPOSURES, OUTCOMES)
    store.write_new("outcomes/date=2026-06-01/torn.parquet", b"PAR1")
    with pytest.raises(DataError, match=r"torn\.parquet: cannot be read .*replay"):
        read_evidence(store, EVENTS, STEP, CONFIG, NOW)


def test_requests_of_one_user_are_not_many_users() -> None:
    rng = np.random.default_rng(1)
    slates = rng.integers(1, 40, 400).astype(float)
    unlucky = (rng.random(400) < 0.1) * slates
    found = rate(unlucky, slates)
    draws = rng.integers(0, 400, (2000, 400))
    bootstrapped = (unlucky[draws].sum(1) / slates[draws].sum(1)).var()
    assert found.variance / 400 == pytest.approx(bootstrapped, rel=0.15)
    naive = found.mean * (1 - found.mean) / slates.sum()
    assert found.variance / 400 > 5 * naive


def test_none_of_a_hundred_is_not_never() -> None:
    assert careful(sample([0.0] * 100)).variance == pytest.approx(1 / 102)
    assert math.isnan(rate([0], [0]).mean)
