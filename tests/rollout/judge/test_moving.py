"""Shares that move: users by their first slate, their weights, and the sample-ratio test of every share."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.config import Event, RolloutConfig
from slate.feedback import tables
from slate.hashing import bucket
from slate.rollout.judge.cuped import pair
from slate.rollout.judge.engagement import moving_ratio_check
from slate.rollout.judge.evidence import MOVING_STEP, Allocated, Arms, Evidence, Step
from slate.rollout.judge.guardrails import rate
from slate.rollout.judge.observations import read_evidence
from slate.rollout.judge.ratio import log_bayes_factor, log_moving_factor
from slate.rollout.judge.sequences import difference, sample
from slate.rollout.judge.weights import effective, moments
from slate.storage import LocalStore

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = START + timedelta(hours=9)
EVENTS = {"like": Event(weight=1), "hide": Event(weight=-2)}
STEP = Step("r-1", MOVING_STEP, 20, START, START)
MOVING = RolloutConfig(
    allocation="thompson", window_s=3600, guardrail_window_s=600, settle_s=60, coverage_users=2
)
FIXED = MOVING.model_copy(update={"allocation": "steps"})


def shown(
    user: str, minute: float, share: float | None, items: str = "abc", **changes: Any
) -> dict[str, Any]:
    """A slate as the gateway has it: whoever's bucket lies below the share gets the candidate."""
    own = bucket("r-1", user)
    return {
        "exposure_id": f"{user}-{minute}",
        "timestamp": START + timedelta(minutes=minute),
        "user_id": user,
        "rollout_id": "r-1",
        "step": MOVING_STEP,
        "bucket": own,
        "allocation": share,
        "assigned_variant": "candidate" if own < round((share or 0) * 10_000) else "stable",
        "served_variant": "stable",
        "release_id": "a",
        "rung": "personalised",
        "items": [{"item_id": item, "position": place} for place, item in enumerate(items, start=1)],
    } | changes


def liked(user: str, minute: float, number: int = 0, event: str = "like") -> dict[str, Any]:
    at = START + timedelta(minutes=minute)
    return {
        "event_id": f"{user}-{minute}-{number}", "user_id": user, "item_id": "a", "event": event,
        "timestamp": at, "received": at, "organic": False, "rollout_id": "r-1", "step": MOVING_STEP,
        "assigned_variant": "stable", "release_id": "a",
    }  # fmt: skip


def read(
    folder: Path, slates: Sequence[dict[str, Any]], done: Sequence[dict[str, Any]], config: RolloutConfig
) -> Evidence:
    store = LocalStore(folder)
    parts = (("exposures", tables.EXPOSURES, slates), ("outcomes", tables.OUTCOMES, done))
    for name, schema, rows in parts:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink)
        store.write_new(f"{name}/date=2026-06-01/000-0.parquet", sink.getvalue().to_pybytes())
    return read_evidence(store, EVENTS, STEP, config, NOW)


def between(low: float, high: float) -> Iterator[str]:
    """Users whose bucket lies between two shares."""
    return (
        name for name in map("user-{}".format, range(100_000)) if low <= bucket("r-1", name) / 10_000 < high
    )


def test_users_belong_to_the_variant_of_their_first_slate(tmp_path: Path) -> None:
    stays, crosses, returns = (next(between(*each)) for each in ((0.6, 1.0), (0.3, 0.4), (0.25, 0.3)))
    slates = [
        shown(stays, 0, 0.2), shown(stays, 5, 0.5),
        shown(crosses, 0, 0.2), shown(crosses, 5, 0.5),  # The share rose beyond it: stable's for good.
        shown(returns, 1, 0.5), shown(returns, 6, 0.2),  # And fell below it: the candidate's for good.
    ]  # fmt: skip
    found = read(tmp_path, slates, [liked(crosses, 6), liked(returns, 2), liked(returns, 7)], MOVING)
    assert found.users == (2, 1)
    assert found.crossed == 0
    assert found.problems == ()
    assert found.allocated == (Allocated(0.2, Arms(2, 0)), Allocated(0.5, Arms(0, 1)))
    assert found.engagement is not None
    assert (found.engagement.stable.mean, found.engagement.candidate.mean) == (0.5, 2.0)


def test_users_weigh_the_other_arms_share(tmp_path: Path) -> None:
    low, high = between(0.0, 0.2), between(0.5, 1.0)
    ours, theirs = [next(low), next(low)], [next(high), next(high)]
    slates = [
        shown(user, 0, share)
        for users in (ours, theirs)
        for user, share in zip(users, (0.2, 0.5), strict=True)
    ]
    found = read(tmp_path, slates, [liked(ours[1], 1), liked(theirs[1], 1)], MOVING).engagement
    assert found is not None
    assert found.stable.mean == pytest.approx(0.5 / (0.2 + 0.5))
    assert found.candidate.mean == pytest.approx(0.5 / (0.8 + 0.5))


def test_a_variant_that_is_not_the_buckets_is_seen(tmp_path: Path) -> None:
    mine, other = next(between(0.0, 0.1)), next(between(0.6, 1.0))
    slates = [
        shown(mine, 0, 0.2, assigned_variant="stable"),
        shown(other, 0, 0.2), shown(other, 5, 0.2, assigned_variant="candidate"),
    ]  # fmt: skip
    found = read(tmp_path, slates, [], MOVING)
    assert found.crossed == 2
    assert found.engagement is not None
    assert (found.engagement.stable.count, found.engagement.candidate.count) == (0, 0)


def test_slates_that_say_no_share_are_a_problem(tmp_path: Path) -> None:
    users = [name for name, _ in zip(between(0.5, 1.0), range(10), strict=False)]
    slates = [shown(user, 0, 0.2 if place > 1 else None) for place, user in enumerate(users)]
    found = read(tmp_path, slates, [], MOVING)
    assert "2 of 10 users" in found.problems[0]
    assert found.crossed == 2
    assert found.allocated == (Allocated(0.2, Arms(8, 0)),)


def test_a_share_that_stays_tells_what_a_fixed_step_tells(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    slates, done = [], []
    for number in range(120):
        user = f"user-{number}"
        for minute in sorted(rng.integers(0, 300, rng.integers(1, 4)).tolist()):
            items = "".join(rng.choice(list("abcdefgh"), 3, replace=False))
            slates.append(
                shown(user, float(minute), 0.3, items, rung=rng.choice(["personalised", "popular"]))
            )
            done += [liked(user, minute + 1, place) for place in range(rng.integers(0, 3))]
            done += [liked(user, minute + 2, 9, "hide")] * int(rng.random() < 0.2)
    moving = read(tmp_path / "moving", slates, done, MOVING)
    fixed = read(tmp_path / "fixed", slates, done, FIXED)
    assert moving.users == fixed.users
    for mine, theirs in (
        (moving.engagement, fixed.engagement),
        *zip(moving.rates.values(), fixed.rates.values(), strict=True),
    ):
        assert mine is not None
        assert theirs is not None
        for arm, other in zip(mine, theirs, strict=True):
            assert arm.count > 0
            assert asdict(arm) == pytest.approx(asdict(other), nan_ok=True)
    assert fixed.allocated is None


def test_an_empty_log_has_no_shares(tmp_path: Path) -> None:
    assert read_evidence(LocalStore(tmp_path), EVENTS, STEP, MOVING, NOW).allocated == ()


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30), st.floats(0.01, 5))
def test_equal_weights_change_nothing(values: list[float], weight: float) -> None:
    plain, weighed = sample(values), sample(values, [weight] * len(values))
    assert (weighed.count, weighed.mean) == pytest.approx((plain.count, plain.mean))
    assert weighed.variance == pytest.approx(plain.variance, abs=1e-9)
    twice = pair(values, values[::-1]), pair(values, values[::-1], [weight] * len(values))
    assert twice[1].covariance == pytest.approx(twice[0].covariance, abs=1e-9)
    counts = np.arange(1.0, len(values) + 1)
    rates = rate(values, counts), rate(values, counts, [weight] * len(values))
    assert rates[1].mean == pytest.approx(rates[0].mean)
    assert rates[1].variance == pytest.approx(rates[0].variance, rel=1e-9, abs=1e-9)


def test_weights_by_hand() -> None:
    found = moments(np.array([[1.0], [4.0], [4.0]]), np.array([2.0, 1.0, 0.0]))
    assert found.means.tolist() == [2.0]
    assert found.count == pytest.approx(9 / 5)
    # The mean's variance: 2 / 1 * ((2/3 * 1)^2 + (1/3 * 2)^2) = 16 / 9, times the count.
    assert found.covariances[0, 0] == pytest.approx(16 / 9 * 9 / 5)
    assert math.isnan(moments(np.array([[1.0]]), np.array([1.0])).covariances[0, 0])
    assert moments(np.empty((0, 1)), np.empty(0)).count == 0
    assert effective([0.0, 0.0]) == 0


def test_an_hour_that_lifts_everybody_is_not_taken_for_the_candidates() -> None:
    rng = np.random.default_rng(2)
    shares = np.repeat([0.1, 0.9], 5000)
    values = rng.poisson(np.repeat([1.0, 3.0], 5000)).astype(float)
    treated = rng.random(10_000) < shares
    weights = np.where(treated, 1 - shares, shares)
    naive = difference(sample(values[~treated]), sample(values[treated]))
    assert naive.value > 20 * math.sqrt(naive.variance)
    found = difference(sample(values[~treated], weights[~treated]), sample(values[treated], weights[treated]))
    assert abs(found.value) < 4 * math.sqrt(found.variance)
    # The information is the sum of p (1 - p), whatever p was.
    assert found.size == pytest.approx((shares * (1 - shares)).sum(), rel=0.05)


def test_the_variance_of_a_weighted_difference_is_that_of_repetitions() -> None:
    rng = np.random.default_rng(4)
    shares = np.tile([0.05, 0.5, 0.8], 400)
    values, variances = [], []
    for _ in range(400):
        outcome = rng.gamma(0.5, 2.0, shares.size)
        treated = rng.random(shares.size) < shares
        weights = np.where(treated, 1 - shares, shares)
        found = difference(
            sample(outcome[~treated], weights[~treated]), sample(outcome[treated], weights[treated])
        )
        values.append(found.value)
        variances.append(found.variance)
    assert np.mean(variances) == pytest.approx(np.var(values), rel=0.2)
    assert abs(np.mean(values)) < 4 * np.std(values) / 20


def test_one_share_is_judged_about_as_the_test_of_one_share_does() -> None:
    for stable, candidate, share in ((50_000, 50_000, 0.5), (100_000, 98_000, 0.5), (95_000, 4900, 0.05)):
        moving = log_moving_factor([Allocated(share, Arms(stable, candidate))])
        assert moving == pytest.approx(log_bayes_factor(stable, candidate, share), abs=3)


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=5))
@settings(deadline=None)
def test_the_factor_is_a_number_and_does_not_depend_on_how_users_are_listed(
    listed: list[tuple[float, int, int]],
) -> None:
    whole = [Allocated(share, Arms(a, b)) for share, a, b in listed]
    parts = [
        Allocated(share, Arms(*each))
        for share, a, b in listed
        for each in ((a // 3, b // 2), (a - a // 3, b - b // 2))
    ]
    found = log_moving_factor(whole)
    assert math.isfinite(found)
    assert log_moving_factor(parts) == pytest.approx(found, rel=1e-9, abs=1e-6)


def share_paths(rng: np.random.Generator, runs: int, looks: int, each: int, lost: float) -> float:
    """How often the test fails at some look, where the next share follows from what was just seen."""
    alpha, failed = 0.01, 0
    for _ in range(runs):
        share, counted = 0.05, {}
        for _ in range(looks):
            candidate = rng.binomial(each, share)
            stable = each - candidate
            kept = rng.binomial(candidate, 1 - lost)
            before = counted.get(share, (0, 0))
            counted[share] = (before[0] + stable, before[1] + kept)
            listed = [Allocated(p, Arms(*users)) for p, users in counted.items()]
            if moving_ratio_check(listed, alpha).status == "failed":
                failed += 1
                break
            # The worst that a policy can do to the test: follow the noise.
            share = round(min(max(0.5 + 20 * (candidate / each - share), 0.05), 0.95), 4)
    return failed / runs


def test_shares_that_follow_the_noise_raise_no_false_alarms() -> None:
    assert share_paths(np.random.default_rng(7), 60, 20, 500, lost=0.0) <= 0.02


@pytest.mark.slow
def test_shares_that_follow_the_noise_raise_no_false_alarms_in_many_rollouts() -> None:
    assert share_paths(np.random.default_rng(8), 500, 50, 2000, lost=0.0) <= 0.01


def test_a_loss_of_the_candidates_users_is_found_while_shares_move() -> None:
    assert share_paths(np.random.default_rng(9), 25, 50, 4000, lost=0.02) >= 0.8


def test_shares_that_leave_no_arm_a_user_decide_nothing() -> None:
    check = moving_ratio_check([Allocated(0.0, Arms(10, 0))], 0.01)
    assert check.status == "missing"
    assert moving_ratio_check(None, 0.01).status == "missing"
    none = moving_ratio_check([], 0.01)
    assert (none.status, none.users) == ("passed", (0, 0))
