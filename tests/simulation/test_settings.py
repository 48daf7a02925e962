"""The plan holds together: it is a configuration, and what machines need stays as long as it is."""

import math

import pytest

from slate.config import parse_config
from slate.simulation.settings import read_night_settings, read_settings
from slate.simulation.tastes import WEIGHTS

DATASET = {
    "interactions": {"path": "a.parquet", "columns": {"event": "event"}},
    "events": {name: {"weight": weight} for name, weight in WEIGHTS.items()},
}


@pytest.mark.parametrize("quick", [True, False])
def test_the_plan_is_a_configuration(quick: bool) -> None:
    settings = read_settings(quick=quick)
    config = parse_config({"dataset": DATASET, **settings.training, **settings.running})
    rollout, scale = config.rollout, settings.time_scale
    assert rollout.settle_s / scale >= 2 * config.feedback.batch_s, "the log is written by then"
    assert rollout.stale_s / scale >= 10, "a busy machine is not stale"
    assert rollout.window_s > rollout.guardrail_window_s
    assert rollout.limit_s > rollout.dwell_s + rollout.window_s + rollout.settle_s
    requests = settings.size.users * settings.visits_per_day * 86_400 / 86_400
    assert math.isclose(requests / (86_400 / scale), 40), "requests a second"


def test_more_users_or_more_requests_change_how_fast_time_passes() -> None:
    one = read_settings(quick=True, users=1000, rate=50)
    assert one.size.users == 1000
    assert math.isclose(one.time_scale, 50 * 86_400 / 1000)
    double = read_settings(quick=True, users=1000, rate=100)
    assert math.isclose(double.running["rollout"]["settle_s"], 2 * one.running["rollout"]["settle_s"])
    assert double.running["rollout"]["window_s"] == one.running["rollout"]["window_s"]


def test_the_plan_of_nights_is_a_configuration() -> None:
    settings = read_night_settings(users=700)
    config = parse_config({"dataset": DATASET, **settings.training, **settings.running})
    assert settings.size.users == 700
    assert config.split.unseen_users > 0, "what an update forgets is measured on them"
    assert config.incremental.epochs > 1
    assert 86_400 / settings.time_scale >= 10 * config.feedback.batch_s, "a day has several batches"
