"""How many users, and days, a rollout needs to see an effect."""

import math
from dataclasses import dataclass
from datetime import timedelta
from statistics import NormalDist
from typing import Final

import ibis
import pyarrow as pa

from slate import columns
from slate.config import RolloutConfig
from slate.data import engine
from slate.errors import ConfigError, DataError
from slate.rollout.judge.sequences import factor
from slate.rollout.judge.spending import spending

_DAY_SECONDS: Final = 86_400
_MOST: Final = 10**12


@dataclass(frozen=True)
class Traffic:
    """One user's engagement in ``window_s`` from the first slate, and how many new users a day brings."""

    mean: float
    variance: float
    users_per_day: float


@dataclass(frozen=True)
class PlannedStep:
    """What a step needs: users of both arms together, and days including its dwell and window."""

    percent: float
    users: int
    days: float


@dataclass(frozen=True)
class Plan:
    """The steps, and the days of all. ``effect`` is of stable's mean engagement."""

    effect: float
    power: float
    steps: tuple[PlannedStep, ...]
    days: float


def plan(
    traffic: Traffic, effect: float, config: RolloutConfig, power: float = 0.9, correlation: float = 0.0
) -> Plan:
    """How long a rollout takes when the candidate is better by ``effect``.

    The last step needs ``effect * mean`` (and the margin, for non-inferiority) to be as many standard errors
    as the confidence sequence is wide, and the normal quantile of the power more. That counts the last look
    only; looks before may find it, too, so the power is at least this. Steps before need their minimum of
    users.

    Args:
        effect: 0.02 is 2% more engagement per user than stable's; 0 and below only for non-inferiority.
        power: how likely such an effect is to be found.
        correlation: of engagement with that before the rollout: CUPED leaves ``1 - correlation ** 2`` of the
            variance.

    Raises:
        ConfigError: such an effect can never be found.
    """
    margin = config.margin if config.objective == "non_inferiority" else 0.0
    drift = (effect + margin) * traffic.mean
    usable = traffic.variance > 0 and traffic.users_per_day > 0 and math.isfinite(drift + traffic.variance)
    if not (drift > 0 and usable and 0 < power < 1 and abs(correlation) < 1):
        raise ConfigError(
            f"effect {effect:g} of a mean of {traffic.mean:g} (variance {traffic.variance:g}, "
            f"power {power:g}, correlation {correlation:g}, {traffic.users_per_day:g} users a day) is never "
            "found; name one above 0, or, with the objective non_inferiority, above -rollout.margin"
        )
    variance = traffic.variance * (1 - correlation**2 if config.cuped else 1.0)
    steps = []
    for percent in config.steps:
        rarer = min(percent, 100 - percent) / 100
        users = math.ceil(config.minimum_users / rarer)
        if percent == config.steps[-1]:
            users = max(users, _users(drift, variance, effect, percent / 100, config, power))
        steps.append(PlannedStep(percent, users, _days(users, traffic, config)))
    return Plan(effect, power, tuple(steps), sum(step.days for step in steps))


def traffic_of(rows: pa.Table, window_s: float, days: int) -> Traffic:
    """What the log shows of users whose window is over.

    Args:
        rows: as :func:`slate.feedback.metrics.log.read_rows` gives them.
        days: how many days they are of.

    Raises:
        DataError: fewer than two users have been shown a slate, or all did the same.
    """
    table = engine.connect().create_table("rows", rows)
    shown = table.filter(table[columns.ITEM].isnull())
    users = shown.group_by(columns.USER).aggregate(first=shown[columns.TIMESTAMP].min())
    last = table[columns.TIMESTAMP].max().to_pyarrow().as_py()
    if last is not None:
        users = users.filter(users["first"] <= ibis.literal(last - timedelta(seconds=window_s)))
    joined = users.inner_join(table, columns.USER)
    end = joined["first"] + ibis.interval(microseconds=round(window_s * 1e6))
    inside = (joined[columns.TIMESTAMP] >= joined["first"]) & (joined[columns.TIMESTAMP] < end)
    sums = joined.filter(inside).group_by(columns.USER).aggregate(engagement=joined[columns.WEIGHT].sum())
    found = sums.aggregate(
        mean=sums["engagement"].mean(), variance=sums["engagement"].var(how="sample"), users=sums.count()
    )
    (row,) = found.to_pyarrow().to_pylist()
    if not row["variance"]:
        raise DataError(
            f"the log tells nothing of how users differ ({row['users']} whose {window_s:g} s are over); "
            "let it grow, or name --mean, --variance and --users-per-day"
        )
    return Traffic(row["mean"], row["variance"], row["users"] / max(days - window_s / _DAY_SECONDS, 1))


def _users(
    drift: float, variance: float, effect: float, share: float, config: RolloutConfig, power: float
) -> int:
    """The fewest users of both arms whose sequence excludes 0 at the last look as often as asked."""
    alpha, beyond = spending(config, config.steps[-1]).win, NormalDist().inv_cdf(power)
    # Whoever does more in proportion differs more, too.
    spread = max((1 + effect) ** 2, 1.0)
    low, high = 2, _MOST
    while low < high:
        users = (low + high) // 2
        error = math.sqrt(variance / users * (spread / share + 1 / (1 - share)))
        width = float(factor(users * share * (1 - share), alpha, config.sharpest_at))
        low, high = (low, users) if drift >= (width + beyond) * error else (users + 1, high)
    return low


def _days(users: int, traffic: Traffic, config: RolloutConfig) -> float:
    waiting = config.window_s + config.settle_s
    return max(users / traffic.users_per_day * _DAY_SECONDS + waiting, config.dwell_s) / _DAY_SECONDS
