"""Nothing that happens later changes what a release would have been asked, or would have answered."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import slate
from slate.evaluation.holdout import Holdout, asks_for
from slate.recommend.recommender import Recommender


@pytest.fixture(scope="module")
def recommender(tiny: Any) -> Recommender:
    return slate.open_release(tiny.store)


@pytest.fixture(scope="module")
def holdout(recommender: Recommender) -> Holdout:
    return Holdout.open(recommender.directory / "holdout")


def test_planted_future_events_change_not_a_single_prediction(
    recommender: Recommender, holdout: Holdout
) -> None:
    """One event a user is planted right at each target's instant, and one after the watermark."""
    targets = holdout.targets(["watch"])
    last = pc.max(targets["timestamp"]).as_py()
    instants = targets["timestamp"].to_pylist()
    rows = [
        {"user_id": user, "item_id": item, "event": "hide", "weight": -2.0, "timestamp": instant}
        for user, instant in zip(targets["user_id"].to_pylist(), instants, strict=True)
        for item, instant in (("film 00, é", instant), ("film 01, é", last + timedelta(days=1)))
    ]
    planted = pa.concat_tables([holdout.history, pa.Table.from_pylist(rows, schema=holdout.history.schema)])
    # A planted event is the past of a later target of the same user, so only first targets are compared.
    users = targets["user_id"].to_pylist()
    first = [row for row, user in enumerate(users) if users.index(user) == row]
    before = asks_for(recommender, holdout, targets.take(first))
    after = asks_for(recommender, replace(holdout, history=planted), targets.take(first))
    for one, other in zip(recommender.rank(before), recommender.rank(after), strict=True):
        assert one.rows.tolist() == other.rows.tolist()
        np.testing.assert_array_equal(one.scores, other.scores)
    assert len(first) > 30


def test_histories_end_strictly_before_their_target(recommender: Recommender, holdout: Holdout) -> None:
    targets = holdout.targets(["watch", "hide"])
    for ask in asks_for(recommender, holdout, targets):
        assert ask.query.history.times.max(initial=0) < ask.query.at
        assert set(ask.seen.tolist()) == set(ask.query.history.items.tolist())


def test_leave_last_out_histories_are_taken_whole_although_times_tie(
    recommender: Recommender, holdout: Holdout
) -> None:
    targets = holdout.targets(["watch"]).slice(0, 1)
    user, instant = targets["user_id"][0].as_py(), targets["timestamp"][0].as_py()
    mine = holdout.history.filter(pc.equal(holdout.history["user_id"], user)).slice(0, 3)
    tied = mine.set_column(
        mine.column_names.index("timestamp"),
        "timestamp",
        pa.array([instant] * mine.num_rows, mine.schema.field("timestamp").type),
    )
    whole = replace(holdout, history=tied, split={**holdout.split, "protocol": "leave_last_out"})
    (ask,) = asks_for(recommender, whole, targets)
    assert len(ask.query.history.items) == mine.num_rows
    (cut,) = asks_for(recommender, replace(holdout, history=tied), targets)
    assert len(cut.query.history.items) == 0
