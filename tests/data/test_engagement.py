from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.data.engagement import MISSING, daily, over
from slate.errors import DataError

T0 = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # a Sunday
HOUR = 3_600_000_000


def table(rows: list[tuple[str, str, float, int]]) -> pa.Table:
    """user, item, weight, hours after T0."""
    users, items, weights, hours = zip(*rows, strict=True) if rows else ([],) * 4
    start = int(T0.timestamp() * 1_000_000)
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "weight": pa.array(weights, pa.float64()),
            "timestamp": pa.array([start + h * HOUR for h in hours], pa.int64()).cast(
                pa.timestamp("us", "UTC")
            ),
            "surface": pa.array(["tv" if h % 2 else "phone" for h in hours], pa.string()),
        }
    )


#: Ann likes (1) and shares (3) on Sunday; Bob likes (1) and reports (-5) on Monday, where Ann likes too.
WORLD = table(
    [("ann", "x", 1, 0), ("ann", "y", 3, 0), ("bob", "x", 1, 1), ("bob", "y", -5, 2), ("ann", "x", 1, 3)]
)
USERS = pa.table({"user_id": ["ann", "bob"], "region": ["north", None]})
ITEMS = pa.table({"item_id": ["x", "y"], "tags": [["a", "b"], []], "price": [1.0, float("nan")]})


def test_a_hand_worked_week() -> None:
    assert daily(WORLD).to_pylist() == [
        {"day": date(2026, 3, 1), "slice": "all", "active_users": 1, "positive": 4.0, "negative": 0.0,
         "engagement": 4.0},
        {"day": date(2026, 3, 2), "slice": "all", "active_users": 2, "positive": 2.0, "negative": -5.0,
         "engagement": -1.5},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("period", "starts", "engagement"),
    [
        ("week", [date(2026, 2, 23), date(2026, 3, 2)], [4.0, -1.5]),
        ("month", [date(2026, 3, 1)], [0.5]),
        ("all", [date(2026, 3, 1)], [0.5]),
    ],
)
def test_periods(period: str, starts: list[date], engagement: list[float]) -> None:
    found = over(WORLD, period)  # type: ignore[arg-type]
    assert found["period"].to_pylist() == starts
    assert found["engagement"].to_pylist() == engagement


def rows(found: pa.Table) -> dict[str, tuple[int, float, float]]:
    return {r["slice"]: (r["active_users"], r["positive"], r["negative"]) for r in found.to_pylist()}


def test_slices_of_a_user_attribute() -> None:
    assert rows(over(WORLD, "all", USERS, "region")) == {"north": (1, 5.0, 0.0), MISSING: (1, 1.0, -5.0)}


def test_slices_of_an_item_attribute_count_the_users_active_on_such_items() -> None:
    assert rows(over(WORLD, "all", ITEMS, "price")) == {"1.0": (2, 3.0, 0.0), MISSING: (2, 3.0, -5.0)}


def test_a_row_is_in_the_slice_of_each_of_its_categories() -> None:
    assert rows(over(WORLD, "all", ITEMS, "tags")) == {
        "a": (2, 3.0, 0.0),
        "b": (2, 3.0, 0.0),
        MISSING: (2, 3.0, -5.0),
    }


def test_slices_of_the_context() -> None:
    assert set(rows(over(WORLD, "all", None, "surface"))) == {"phone", "tv"}


def test_a_numeric_attribute_is_cut_at_its_quartiles() -> None:
    users = [f"u{n}" for n in range(12)]
    world = table([(user, "x", 1.0, 0) for user in users])
    ages = pa.table({"user_id": users, "age": [float(n) for n in range(11)] + [None]})
    assert rows(over(world, "all", ages, "age")) == {
        "1 up to 2.5": (3, 3.0, 0.0),
        "2 up to 5": (3, 3.0, 0.0),
        "3 up to 7.5": (2, 2.0, 0.0),
        "4 over 7.5": (3, 3.0, 0.0),
        MISSING: (1, 1.0, 0.0),
    }


def test_nothing_happened() -> None:
    assert over(table([]), "all").num_rows == 0


def test_an_attribute_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"attribute 'regoin': .* there are region"):
        over(WORLD, "day", USERS, "regoin")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob", "cy", "dee"]),
            st.sampled_from(["x", "y"]),
            st.floats(-5, 5),
            st.integers(0, 60),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_slices_of_a_user_attribute_partition_the_total(events: list[tuple[str, str, float, int]]) -> None:
    world = table(events)
    total = {r["day"]: r for r in daily(world).to_pylist()}
    parts: dict[date, list[float]] = {}
    for row in daily(world, USERS, "region").to_pylist():
        sums = parts.setdefault(row["day"], [0, 0.0, 0.0])
        for place, name in enumerate(("active_users", "positive", "negative")):
            sums[place] += row[name]
    assert parts.keys() == total.keys()
    for day, (users, positive, negative) in parts.items():
        whole = total[day]
        assert users == whole["active_users"]
        assert (positive, negative) == pytest.approx((whole["positive"], whole["negative"]))
        assert whole["engagement"] == pytest.approx((positive + negative) / users)
    assert sum(r["positive"] + r["negative"] for r in total.values()) == pytest.approx(
        sum(weight for _, _, weight, _ in events)
    )
