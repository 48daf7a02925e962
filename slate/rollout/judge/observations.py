"""Observations from the log: one user, once, when the user's time in this step is over.

A user's time begins with the first slate of this step and lasts ``window_s`` for engagement and negative
actions, ``guardrail_window_s`` for the rest. Users whose time is not over are left out altogether, so that
nobody enters with half of it. Arms are those that users were assigned to, whatever answered them; where the
share of an arm moves, those of the first slate, and users weigh as :mod:`slate.rollout.judge.weights` has it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import Event, RolloutConfig
from slate.data import engine
from slate.feedback.kept_days import KeptDays
from slate.recommend.online.ladder import PERSONALISED
from slate.release.channels import CANDIDATE, STABLE
from slate.rollout.judge.cuped import Pair, pair
from slate.rollout.judge.evidence import Arms, Evidence, Step
from slate.rollout.judge.guardrails import COVERAGE, EMPTY, FALLBACK, NEGATIVE, REPEATS, careful, rate
from slate.rollout.judge.log import ALLOCATION, EXPOSURE, RUNG, VARIANT, Log, read_log
from slate.rollout.judge.moving import by_share, moving_users, without_share
from slate.rollout.judge.sequences import Sample, sample
from slate.storage import ObjectStore

_FIRST: Final = "first"


def read_evidence(
    store: ObjectStore,
    events: Mapping[str, Event],
    step: Step,
    config: RolloutConfig,
    now: datetime,
    days: KeptDays | None = None,
) -> Evidence:
    """What the log tells of a step; the gateway's blocks and the shadow's answers are for others to add.

    Args:
        events: the data set's, by name, with their weights.
        days: the store's, of one who looks often.

    Raises:
        DataError, StorageError: the log cannot be read.
    """
    before = step.rollout_started - timedelta(seconds=config.window_s) if config.cuped else None
    return observe(read_log(store, events, step, now, before, days), config, now)


def observe(log: Log, config: RolloutConfig, now: datetime) -> Evidence:
    """The evidence in what was read."""
    moving = config.allocation == "thompson"
    if log.shown.num_rows == 0:
        none: Arms[int] = Arms(0, 0)
        empty = pair([], [])
        return Evidence(
            users=none, engagement=Arms(empty, empty), rates=_no_rates(), allocated=() if moving else None
        )
    table = _tables(log)
    shown = table["shown"]
    users = moving_users(shown) if moving else _users(shown)
    kept = users.filter(users["variants"] == 1)
    engaged = _through(kept, now, config.window_s + config.settle_s)
    guarded = _through(kept, now, config.guardrail_window_s + config.settle_s)
    known = users.select(VARIANT, "variants", *([ALLOCATION] if moving else [])).to_pyarrow()
    engagement = _engagement(engaged, table["done"], table["before"], config.window_s).to_pyarrow()
    slates = _slates(guarded, shown, table["items"], config.guardrail_window_s)
    rates = _rates(_per_user(slates, table["items"]).to_pyarrow())
    firsts = _first_slates(slates, guarded, table["items"], config.coverage_users).to_pyarrow()
    return Evidence(
        newest=pc.max(log.shown[columns.TIMESTAMP]).as_py(),
        users=Arms(*(_count(known, variant) for variant in (STABLE, CANDIDATE))),
        crossed=int(pc.sum(pc.greater(known["variants"], 1)).as_py() or 0),
        allocated=by_share(known) if moving else None,
        engagement=_arms(engagement, _pair),
        rates={
            **rates,
            COVERAGE: _arms(firsts, _coverage),
            NEGATIVE: _arms(
                engagement, lambda rows: careful(sample(_numbers(rows, "negative"), _weights(rows)))
            ),
        },
        problems=without_share(known) if moving else (),
    )


def engaged_users(log: Log, config: RolloutConfig, now: datetime) -> pa.Table:
    """A row a user whose time is over: user_id, ``assigned_variant``, ``weight`` and ``engagement``.

    And ``negative`` and ``earlier``: negative actions, and the engagement before the rollout.
    """
    table = _tables(log)
    shown = table["shown"]
    users = moving_users(shown) if config.allocation == "thompson" else _users(shown)
    kept = users.filter(users["variants"] == 1)
    engaged = _through(kept, now, config.window_s + config.settle_s)
    return _engagement(engaged, table["done"], table["before"], config.window_s).to_pyarrow()


def _tables(log: Log) -> dict[str, ir.Table]:
    connection = engine.connect()
    return {name: connection.create_table(name, part) for name, part in log._asdict().items()}


def _users(shown: ir.Table) -> ir.Table:
    """A row a user: when first shown a slate, and by which variant."""
    return shown.group_by(columns.USER).aggregate(
        first=shown[columns.TIMESTAMP].min(),
        variants=shown[VARIANT].nunique(),
        weight=ibis.literal(1.0),
        **{VARIANT: shown[VARIANT].min()},
    )


def _through(users: ir.Table, now: datetime, seconds: float) -> ir.Table:
    return users.filter(users[_FIRST] <= ibis.literal(now - timedelta(seconds=seconds)))


def _within(rows: ir.Table, users: ir.Table, seconds: float) -> ir.Table:
    """The rows of these users in so many seconds from their first slate, with their variant."""
    joined = rows.inner_join(users.select(columns.USER, _FIRST, "weight", arm=users[VARIANT]), columns.USER)
    end = joined[_FIRST] + ibis.interval(microseconds=round(seconds * 1e6))
    return joined.filter((joined[columns.TIMESTAMP] >= joined[_FIRST]) & (joined[columns.TIMESTAMP] < end))


def _engagement(users: ir.Table, done: ir.Table, before: ir.Table, window_s: float) -> ir.Table:
    """A row a user: the sum of weights in the window and before the rollout, and how many were negative."""
    inside = _within(done, users, window_s)
    sums = inside.group_by(columns.USER).aggregate(
        engagement=inside[columns.WEIGHT].sum(), negative=(inside[columns.WEIGHT] < 0).sum()
    )
    earlier = before.group_by(columns.USER).aggregate(earlier=before[columns.WEIGHT].sum())
    joined = users.left_join(sums, columns.USER).drop(f"{columns.USER}_right")
    joined = joined.left_join(earlier, columns.USER)
    return joined.select(
        columns.USER,
        VARIANT,
        "weight",
        **{name: joined[name].fill_null(0) for name in ("engagement", "negative", "earlier")},
    )


def _slates(users: ir.Table, shown: ir.Table, items: ir.Table, window_s: float) -> ir.Table:
    """A row a slate in the window, with how many items it has."""
    inside = _within(shown, users, window_s)
    sizes = items.group_by(EXPOSURE).aggregate(size=items.count())
    joined = inside.left_join(sizes, EXPOSURE).drop(f"{EXPOSURE}_right")
    return joined.mutate(size=joined["size"].fill_null(0))


def _per_user(slates: ir.Table, items: ir.Table) -> ir.Table:
    """A row a user: slates, empty ones, those that are not personalised, items, and items seen before."""
    sums = slates.group_by(columns.USER, "arm").aggregate(
        slates=slates.count(),
        empty=(slates["size"] == 0).sum(),
        degraded=(slates[RUNG] != PERSONALISED).sum(),
        items=slates["size"].sum(),
        weight=slates["weight"].max(),
    )
    met = items.inner_join(slates.select(EXPOSURE, columns.USER), EXPOSURE)
    distinct = met.group_by(columns.USER).aggregate(distinct=met[columns.ITEM].nunique())
    joined = sums.left_join(distinct, columns.USER)
    repeated = joined["items"] - joined["distinct"].fill_null(0)
    return joined.select(
        "slates", "empty", "degraded", "items", "weight", repeated=repeated, **{VARIANT: joined["arm"]}
    )


def _first_slates(slates: ir.Table, users: ir.Table, items: ir.Table, together: int) -> ir.Table:
    """A row a full group of ``together`` users that came one after the other: their first slates' items."""
    ordered = users.mutate(
        group=ibis.row_number().over(
            ibis.window(group_by=VARIANT, order_by=[users[_FIRST], users[columns.USER]])
        )
        // together
    ).select(columns.USER, "group")
    rank = ibis.row_number().over(
        ibis.window(group_by=columns.USER, order_by=[slates[columns.TIMESTAMP], slates[EXPOSURE]])
    )
    first = slates.mutate(rank=rank)
    first = first.filter(first["rank"] == 0).select(EXPOSURE, columns.USER, "arm", "weight")
    first = first.inner_join(ordered, columns.USER)
    joined = first.left_join(items, EXPOSURE)
    groups = joined.group_by("arm", "group").aggregate(
        users=joined[columns.USER].nunique(),
        items=joined[columns.ITEM].count(),
        distinct=joined[columns.ITEM].nunique(),
        weight=joined["weight"].mean(),
    )
    full = groups.filter(groups["users"] == together)
    return full.select("items", "distinct", "weight", **{VARIANT: full["arm"]}).order_by(VARIANT)


def _rates(users: pa.Table) -> dict[str, Arms[Sample]]:
    parts = {EMPTY: ("empty", "slates"), FALLBACK: ("degraded", "slates"), REPEATS: ("repeated", "items")}
    return {
        name: Arms(
            *(
                rate(_numbers(rows, above), _numbers(rows, below), _weights(rows))
                for rows in (_of(users, STABLE), _of(users, CANDIDATE))
            )
        )
        for name, (above, below) in parts.items()
    }


def _coverage(groups: pa.Table) -> Sample:
    """The share of distinct items among all that a group's first slates hold; 0 where they hold none."""
    items, distinct = _numbers(groups, "items"), _numbers(groups, "distinct")
    return careful(sample(distinct / np.maximum(items, 1), _weights(groups)))


def _pair(users: pa.Table) -> Pair:
    return pair(_numbers(users, "engagement"), _numbers(users, "earlier"), _weights(users))


def _arms(rows: pa.Table, make: Any) -> Arms[Any]:
    return Arms(make(_of(rows, STABLE)), make(_of(rows, CANDIDATE)))


def _of(rows: pa.Table, variant: str) -> pa.Table:
    return rows.filter(pc.equal(rows[VARIANT], variant))


def _count(users: pa.Table, variant: str) -> int:
    return int(_of(users, variant).num_rows)


def _numbers(rows: pa.Table, name: str) -> npt.NDArray[np.float64]:
    return np.asarray(rows[name].to_numpy(), dtype=np.float64)


def _weights(rows: pa.Table) -> npt.NDArray[np.float64] | None:
    """None where all weigh the same."""
    found = _numbers(rows, "weight")
    return None if found.size == 0 or (found == found[0]).all() else found


def _no_rates() -> dict[str, Arms[Sample]]:
    nobody = sample([])
    return {name: Arms(nobody, nobody) for name in (EMPTY, FALLBACK, COVERAGE, REPEATS, NEGATIVE)}
