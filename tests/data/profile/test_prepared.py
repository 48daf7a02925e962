from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from slate.data.profile.prepared import cold_shares, gini, profile, tail
from slate.data.profile.report import render

START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
HOUR = 3_600_000_000


def world(seed: int = 3, users: int = 60) -> dict[str, pa.Table]:
    """Older users like more; region decides nothing; every user does 10 things an hour apart."""
    generator = np.random.default_rng(seed)
    rows = users * 10
    who = np.repeat(np.arange(users), 10)
    likes = generator.random(rows) < who / users
    return {
        "interactions": pa.table(
            {
                "user_id": [f"u{u:02d}" for u in who],
                "item_id": [f"i{i}" for i in generator.integers(0, 20, rows)],
                "event": np.where(likes, "like", "hide"),
                "value": pa.nulls(rows, pa.float64()),
                "weight": np.where(likes, 1.0, -1.0),
                "timestamp": pa.array(START + np.arange(rows) * HOUR).cast(pa.timestamp("us", "UTC")),
                "surface": np.where(likes, "tv", "phone"),
            }
        ),
        "items": pa.table(
            {"item_id": [f"i{i}" for i in range(25)], "title": pa.nulls(25, pa.string()),
             "tags": [["a", "b"][: i % 3] for i in range(25)]}
        ),
        "users": pa.table(
            {"user_id": [f"u{u:02d}" for u in range(users)], "age": np.arange(users, dtype=float),
             "region": generator.choice(["n", "s"], users)}
        ),
    }  # fmt: skip


RECORD = {"rows": {"read": 600, "kept": 600, "dropped": {}}}


def test_a_tail_worked_by_hand() -> None:
    found = tail(pa.chunked_array([["a"] * 6 + ["b"] * 3 + ["c"]]))
    assert found.counts.tolist() == [6, 3, 1]
    assert (found.top_1, found.top_10) == (0.6, 0.6)
    # (2 (1*1 + 2*3 + 3*6)) / (3 * 10) - 4/3
    assert found.gini == pytest.approx(50 / 30 - 4 / 3)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40))
def test_the_gini_coefficient_is_the_mean_difference_over_twice_the_mean(counts: list[int]) -> None:
    values = np.asarray(counts)
    differences = np.abs(values[:, None] - values[None, :]).mean()
    assert gini(values) == pytest.approx(differences / (2 * values.mean()), abs=1e-12)


def test_cold_shares_worked_by_hand() -> None:
    users = ["a"] * 9 + ["b"]
    table = pa.table(
        {
            "user_id": users,
            "item_id": ["x"] * 10,
            "timestamp": pa.array([START + n for n in range(10)]).cast(pa.timestamp("us", "UTC")),
        }
    )
    shares = cold_shares(table, pa.table({"item_id": ["x", "y"]}))
    assert list(shares.values()) == [1.0, 1.0, 0.0, 0.0, 0.5]


def test_what_goes_with_engagement_is_found_and_what_does_not_is_not() -> None:
    tables = world()
    found = {c.subject: c for c in profile("w", RECORD, tables).correlations}
    age = found["users.age"]
    sums = tables["interactions"].group_by("user_id").aggregate([("weight", "sum")]).sort_by("user_id")
    assert age.value == pytest.approx(stats.spearmanr(np.arange(60), sums["weight_sum"]).statistic)
    assert age.low is not None
    assert age.high is not None
    assert 0.8 < age.low < age.value < age.high < 1
    assert found["context.surface"].value == pytest.approx(1.0)  # tv is where likes come from
    assert found["users.region"].value < 0.2
    assert found["items.tags"].entities == sum(len(t) for t in tables["items"]["tags"].to_pylist()[:20])


def test_numbers_and_page_of_a_whole_data_set() -> None:
    found = profile("<w>", RECORD, world())
    assert found.density == pytest.approx(600 / (60 * 20))
    assert found.lifetimes[0] == found.lifetimes[-1] == 9.0
    assert found.volume["day_count"].to_pylist() == [24] * 25
    page = render(found, [])
    assert "&lt;w&gt;" in page
    assert page.count("<svg") == 4
    assert "Every check passed" in page


def test_a_data_set_of_one_interaction() -> None:
    tables = {name: table.slice(0, 1) for name, table in world().items()}
    found = profile("one", RECORD, tables)
    assert found.correlations == ()
    assert "no causes" in render(found, [])
