"""How often the judge of rollouts is wrong, and how often it finds what there is to find.

Whole rollouts of two equal releases (1, 5, 25 and 50%, at least 100 looks to the end, hours that differ, the
same users in every step) go through the judge, and every end but "inconclusive" is wrong. Then a candidate
that is better by the planned effect, with the planned number of users; intervals at all looks against the
truth they should hold; and the sample-ratio test with equal arms and with 2% of the candidate's users lost.

    taskset -c 0,1 python benchmarks/judge.py --out benchmarks/results/judge.json
"""

import argparse
import json
import math
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from tests.rollout.judge.simulated import World, config_of, ends, rollout  # noqa: E402

#: Of tests.rollout.judge.simulated: mean, variance, and correlation with what was before.
MEAN, VARIANCE, CORRELATION = 1.0, 2.46, 0.53
EFFECT = 0.08


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rollouts", type=int, default=2000)
    parser.add_argument("--better", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    started = time.monotonic()
    measured: dict[str, Any] = {
        "seed": arguments.seed,
        "intervals": intervals(arguments.seed),
        "sample_ratio": sample_ratio(arguments.seed),
    }
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as pool:
        measured["better"] = _better(pool, arguments)
        _write(measured, arguments.out)
        measured["equal"] = _equal(pool, arguments)
    measured["wall_s"] = round(time.monotonic() - started)
    measured["cores"] = len(os.sched_getaffinity(0))
    _write(measured, arguments.out)
    print(json.dumps(measured, indent=2))


def equal(seed: int) -> tuple[Counter[str], int]:
    """How a rollout of two equal releases ends, and how many looks that took."""
    world = World()
    verdicts = rollout(world, config_of(world), np.random.default_rng([seed, 0]))
    return ends([verdicts]), len(verdicts)


def better(seed: int) -> Counter[str]:
    """How the last step ends for a candidate that is better by the planned effect."""
    world = World(users=planned_users(), effect=EFFECT)
    return ends([rollout(world, config_of(world), np.random.default_rng([seed, 1]), steps=(50,))])


def planned_users() -> int:
    """What `slate rollout plan` says of the last step."""
    from slate.rollout.judge.plan import Traffic, plan

    planned = plan(Traffic(MEAN, VARIANCE, 1e6), EFFECT, config_of(World()), 0.9, CORRELATION)
    return planned.steps[-1].users


def intervals(seed: int, rollouts: int = 2000, looks: int = 100, users: int = 100) -> dict[str, Any]:
    """How often a 95% sequence holds the truth at all looks, by the candidate's share of users."""
    from slate.rollout.judge.sequences import Sample, bounds, difference

    rng = np.random.default_rng(seed)
    found = {}
    for share in (0.05, 0.5):
        held = 0
        for _ in range(rollouts // 100):
            arms = []
            for part, lift in ((1 - share, 1.0), (share, 1.1)):
                each = max(round(users * part), 1)
                values = rng.gamma(0.5, 2.0 * lift, (100, looks, each)) * (
                    rng.random((100, looks, each)) < 0.4
                )
                count = np.arange(1, looks + 1) * float(each)
                total, square = values.sum(2).cumsum(1), (values**2).sum(2).cumsum(1)
                mean = total / count
                arms.append(Sample(count, mean, (square - count * mean**2) / np.maximum(count - 1, 1)))
            low, high = bounds(difference(*arms), 0.025, 10_000)
            seen = np.minimum(arms[0].count, arms[1].count) >= 100
            held += int(((low <= 0.04) & (high >= 0.04))[:, seen].all(1).sum())
        found[f"candidate_{share:g}"] = held / rollouts
    return {"rollouts": rollouts, "looks": looks, "held": found}


def sample_ratio(seed: int, rollouts: int = 2000, looks: int = 50, users: int = 200_000) -> dict[str, Any]:
    """False alarms, and alarms at a 2% loss, with the alpha of the step at 50% by default."""
    from slate.config import RolloutConfig
    from slate.rollout.judge.ratio import log_bayes_factors
    from slate.rollout.judge.spending import spending

    rng = np.random.default_rng(seed)
    alpha = spending(RolloutConfig(), 50).ratio
    alarms = {}
    for lost in (0.0, 0.02):
        came = rng.binomial(users // looks, 0.5, (rollouts, looks))
        kept = rng.binomial(came, 1 - lost)
        evidence = log_bayes_factors((users // looks - came).cumsum(1), kept.cumsum(1), 0.5)
        alarms[f"lost_{lost:g}"] = float((evidence >= -math.log(alpha)).any(1).mean())
    return {"rollouts": rollouts, "looks": looks, "users": users, "alpha": alpha, "alarms": alarms}


def _equal(pool: ProcessPoolExecutor, arguments: argparse.Namespace) -> dict[str, Any]:
    seeds = range(arguments.seed, arguments.seed + arguments.rollouts)
    results = list(pool.map(equal, seeds, chunksize=10))
    ended = sum((each for each, _ in results), Counter())
    wrong = sum(count for end, count in ended.items() if not end.startswith(("inconclusive", "hold")))
    looks = [looks for _, looks in results]
    return {
        "rollouts": arguments.rollouts,
        "median_looks": float(np.median(looks)),
        "ends": dict(ended),
        "wrong": wrong / arguments.rollouts,
    }


def _better(pool: ProcessPoolExecutor, arguments: argparse.Namespace) -> dict[str, Any]:
    seeds = range(arguments.seed, arguments.seed + arguments.better)
    ended: Counter[str] = sum(pool.map(better, seeds, chunksize=10), Counter())
    return {
        "rollouts": arguments.better,
        "effect": EFFECT,
        "users": planned_users(),
        "ends": dict(ended),
        "power": ended["promote"] / arguments.better,
    }


def _write(measured: dict[str, Any], out: Path | None) -> None:
    if out:
        out.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
