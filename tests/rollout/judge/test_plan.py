"""What a rollout needs, and what simulated rollouts make of it."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.config import RolloutConfig
from slate.errors import ConfigError, DataError
from slate.feedback.metrics.log import SCHEMA
from slate.rollout.judge.plan import Traffic, plan, traffic_of
from slate.rollout.judge.spending import spending
from tests.rollout.judge.simulated import World, config_of, ends, rollout

START = datetime(2026, 6, 1, tzinfo=UTC)
TRAFFIC = Traffic(mean=2.0, variance=9.0, users_per_day=50_000)


def test_more_users_than_a_single_look_needs_and_not_many_times_more() -> None:
    config = RolloutConfig()
    users = plan(TRAFFIC, 0.05, config).steps[-1].users
    deviates = NormalDist().inv_cdf(1 - spending(config, 50).win) + NormalDist().inv_cdf(0.9)
    once = 4 * 9 * (deviates / 0.1) ** 2
    assert once < users < 2.5 * once


def test_what_makes_a_rollout_longer() -> None:
    usual = plan(TRAFFIC, 0.05, RolloutConfig())
    assert plan(TRAFFIC, 0.02, RolloutConfig()).days > usual.days
    assert plan(TRAFFIC, 0.05, RolloutConfig(), power=0.95).days > usual.days
    assert plan(TRAFFIC, 0.05, RolloutConfig(), correlation=0.6).steps[-1].users == pytest.approx(
        0.64 * usual.steps[-1].users, rel=0.1
    )
    assert usual.steps[0].users == 20_000
    assert usual.steps[0].days == pytest.approx(20_000 / 50_000 + 1 + 120 / 86_400)
    assert usual.days == pytest.approx(sum(step.days for step in usual.steps))


def test_not_worse_can_be_shown_of_an_equal_candidate() -> None:
    config = RolloutConfig(objective="non_inferiority", margin=0.05)
    equal = plan(TRAFFIC, 0.0, config).steps[-1].users
    assert equal == pytest.approx(plan(TRAFFIC, 0.05, RolloutConfig()).steps[-1].users, rel=0.1)


@pytest.mark.parametrize("effect", [0.0, -0.1, math.nan])
def test_what_can_never_be_found(effect: float) -> None:
    with pytest.raises(ConfigError, match="never found"):
        plan(TRAFFIC, effect, RolloutConfig())


def test_traffic_of_a_log_by_hand() -> None:
    rows = [
        ("ann", None, 0.0, 0), ("ann", "x", 3.0, 30), ("ann", "x", 5.0, 60), ("bob", None, 0.0, 10),
        ("cat", None, 0.0, 2000), ("cat", "x", 9.0, 2001), ("dan", "x", 1.0, 2030),
    ]  # fmt: skip
    table = pa.Table.from_pylist(
        [
            dict(
                zip(SCHEMA.names, (u, i, w, START + timedelta(minutes=m), "stable"), strict=True),
            )
            for u, i, w, m in rows
        ],
        schema=SCHEMA,
    )
    found = traffic_of(table, 3600.0, 2)
    # Ann has 3 in the hour, bob nothing; cat's hour is not over, dan was shown nothing.
    assert (found.mean, found.variance) == (1.5, 4.5)
    assert found.users_per_day == pytest.approx(2 / (2 - 1 / 24))
    with pytest.raises(DataError, match="let it"):
        traffic_of(table.slice(0, 0), 3600.0, 1)


def test_the_command(tmp_path: Path) -> None:
    given = ["rollout", "plan", "--mean", "2", "--variance", "9", "--users-per-day", "50000"]
    found = CliRunner().invoke(app, [*given, "--effect", "0.05", "--json"])
    assert found.exit_code == 0, found.output
    assert (
        json.loads(found.stdout)["steps"][-1]["users"] == plan(TRAFFIC, 0.05, RolloutConfig()).steps[-1].users
    )
    shown = CliRunner().invoke(app, [*given, "--effect", "0.005"])
    assert "warning" in shown.output
    assert isinstance(CliRunner().invoke(app, [*given[:4]]).exception, ConfigError)
    assert isinstance(
        CliRunner().invoke(app, ["rollout", "plan", "--store", str(tmp_path)]).exception, DataError
    )


def test_equal_releases_end_inconclusive() -> None:
    world = World(users=12_000, looks=20)
    config = config_of(world, steps=(5, 25, 50))
    runs = [rollout(world, config, np.random.default_rng([seed, 0])) for seed in range(12)]
    assert set(ends(runs)) == {"inconclusive"}
    assert sum(verdicts[-1].step == "50" for verdicts in runs) >= 6


def test_a_better_one_is_promoted_and_bad_ones_go() -> None:
    world = World(users=12_000, looks=20)
    config = config_of(world)

    def last(**changes: float) -> str:
        changed = World(**(vars(world) | changes))  # type: ignore[arg-type]
        verdicts = rollout(changed, config, np.random.default_rng(4), steps=(50,))
        (end,) = ends([verdicts])
        return end

    assert last(effect=0.3) == "promote"
    assert last(effect=-0.3) == "abort engagement"
    assert last(candidate_errors=0.05) == "abort errors"
    assert last(candidate_slower=2.0) == "abort p99"
    assert last(candidate_errors=0.9) == "abort errors"


@pytest.mark.slow
def test_many_equal_releases_end_wrongly_no_more_often_than_declared() -> None:
    world = World(users=24_000, looks=30)
    config = config_of(world, steps=(5, 25, 50))
    found = ends([rollout(world, config, np.random.default_rng([seed, 0])) for seed in range(300)])
    wrong = sum(count for end, count in found.items() if end != "inconclusive")
    assert wrong <= 0.05 * 300
