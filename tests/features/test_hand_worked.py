"""Encodings worked out by hand: numbers, gaps, lists, words, instants, ages and padding."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.clock import microseconds
from slate.config import FeatureKind
from slate.data.features import FeatureEncoder, FeatureSpace
from slate.data.sequences import History
from slate.retrieval.query import Query, encode_queries

NUMERIC, CATEGORY, INSTANT = FeatureKind.NUMERIC, FeatureKind.CATEGORICAL, FeatureKind.TIMESTAMP
LIST, TEXT, ID = FeatureKind.CATEGORICAL_LIST, FeatureKind.TEXT, FeatureKind.ID


def fit(kind: FeatureKind, values: Sequence[object], separator: str = "|") -> FeatureEncoder:
    return FeatureEncoder.fit("f", kind, values, separator)


def test_a_number_is_taken_from_the_mean_in_population_deviations() -> None:
    # Mean 40 / 8 = 5; squares 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32, and 32 / 8 = 2 ** 2.
    encoder = fit(NUMERIC, [2, 4, 4, 4, 5, 5, 7, 9])
    assert (encoder.mean, encoder.std) == (5.0, 2.0)
    assert encoder.encode([9, 5, 1, "8.5"]).tolist() == [[2, 0], [0, 0], [-2, 0], [1.75, 0]]


@pytest.mark.parametrize(
    "value",
    [None, math.nan, math.inf, -math.inf, "", "many", "NaN", [], {}, 10**400, "1e999", datetime(2024, 1, 1)],  # noqa: DTZ001
)
def test_what_is_no_finite_number_is_missing_and_says_so(value: object) -> None:
    encoder = fit(NUMERIC, [2.0, 4.0, value])
    assert (encoder.mean, encoder.std) == (3.0, 1.0)
    assert encoder.encode([value, 4]).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("constant", [3.0, 0.1, 20_000.123, 1e9 + 0.1, -1e300])
def test_a_constant_column_is_zero_and_other_values_count_in_units(constant: float) -> None:
    encoder = fit(NUMERIC, [constant] * 7)
    assert (encoder.mean, encoder.std) == (constant, 1.0)
    assert encoder.encode([constant]).tolist() == [[0, 0]]
    if abs(constant) < 1e9:
        assert encoder.encode([constant + 2])[0, 0] == pytest.approx(2.0)


def test_a_column_without_any_number_leaves_values_as_they_are() -> None:
    assert fit(NUMERIC, [None, math.inf]).encode([None, 2.5]).tolist() == [[0, 1], [2.5, 0]]


def test_huge_numbers_have_a_mean_and_a_deviation() -> None:
    # Mean 2e200, deviations of -1e200 and 1e200.
    encoder = fit(NUMERIC, [1e200, 3e200])
    assert encoder.mean == pytest.approx(2e200)
    assert encoder.std == pytest.approx(1e200)
    np.testing.assert_allclose(encoder.encode([3e200, 0.0]), [[1, 0], [-2, 0]], rtol=1e-6)
    largest = fit(NUMERIC, [1.7e308, -1.7e308])
    assert (largest.mean, largest.std) == (0.0, 1.7e308)
    np.testing.assert_allclose(largest.encode([1.7e308, -1.7e308]), [[1, 0], [-1, 0]])


def test_an_absurd_number_counts_as_a_thousand_deviations() -> None:
    encoder = fit(NUMERIC, [-1.0, 1.0])
    assert encoder.encode([999.5, 1_000.5, 1e39, -1.7e308]).tolist() == [
        [999.5, 0],
        [1_000, 0],
        [1_000, 0],
        [-1_000, 0],
    ]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=8), st.floats())
def test_an_encoded_number_is_always_finite(fitted: list[float], value: float) -> None:
    encoded = fit(NUMERIC, fitted).encode([value, *fitted])
    assert encoded.dtype == np.float32
    assert np.isfinite(encoded).all()
    assert np.abs(encoded).max() <= 1_000


@pytest.mark.parametrize(("kind", "empty"), [(CATEGORY, 0), (ID, 0), (LIST, [0, 0]), (TEXT, [0, 0])])
@pytest.mark.parametrize("missing", [None, math.nan, ""])
def test_missing_categories_are_zero(kind: FeatureKind, empty: object, missing: object) -> None:
    fitted: list[object] = [["a", "b"], missing] if kind is LIST else ["a b", "a b", missing]
    encoder = fit(kind, fitted)
    assert encoder.encode([missing]).tolist() == [empty]
    assert "" not in encoder.vocabulary


def test_unknown_categories_share_one_code_after_missing() -> None:
    encoder = fit(CATEGORY, ["é", "a", "日本", "a"])
    assert encoder.vocabulary == ("a", "é", "日本")
    assert encoder.size == 5
    assert encoder.encode(["é", "E", "日本", " a", "A", "a"]).tolist() == [3, 1, 4, 1, 1, 2]


def test_json_spells_categories_as_tables_do() -> None:
    # Preparation writes whole floats without .0 and booleans in lower case.
    encoder = fit(CATEGORY, ["3", "2.5", "true", "false"])
    assert encoder.vocabulary == ("2.5", "3", "false", "true")
    assert encoder.encode([3, 3.0, "3", "3.0", 2.5, True, False, "True"]).tolist() == [
        3, 3, 3, 1, 2, 5, 4, 1,
    ]  # fmt: skip


def test_lists_keep_their_first_entries_and_leave_gaps_out() -> None:
    encoder = fit(LIST, [["b", "a"], ["c"], None])
    assert (encoder.vocabulary, encoder.width) == (("a", "b", "c"), 2)
    assert encoder.encode([["c", "b", "a"], [None, "", "a"], ["x"], [], "c", 7]).tolist() == [
        [4, 3],
        [2, 0],
        [1, 0],
        [0, 0],
        [4, 0],
        [1, 0],
    ]


def test_text_given_for_a_list_is_cut_at_the_separator() -> None:
    encoder = fit(LIST, [["red", "blue"], ["green"]], separator=";")
    assert encoder.encode(["green;red", "red|blue"]).tolist() == [[3, 4], [1, 0]]
    space = FeatureSpace((encoder,), (), (), ())
    assert FeatureSpace.from_json(space.to_json()).items[0].encode(["green;red"]).tolist() == [[3, 4]]


def test_no_more_than_sixteen_places_are_kept() -> None:
    encoder = fit(LIST, [[f"{n:02d}" for n in range(20)]])
    assert encoder.width == 16
    assert encoder.encode([[f"{n:02d}" for n in range(20)]]).tolist() == [list(range(2, 18))]


def test_words_are_runs_of_letters_digits_and_underscores() -> None:
    # Words seen twice: "café" (once with a combining accent), "don", "t", "x_1", "東京"; "solo" is seen once.
    encoder = fit(TEXT, ["Café don't, X_1 東京", "cafe\u0301 DON'T x_1! 東京 solo", None, "", "..."])
    assert encoder.vocabulary == ("café", "don", "t", "x_1", "東京")
    assert encoder.width == 6
    assert encoder.encode(["東京 CAFE\u0301 solo", "", "—…!", "T t", 5]).tolist() == [
        [6, 2, 1, 0, 0, 0],
        [0] * 6,
        [0] * 6,
        [4, 4, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
    ]


def test_instants_are_days_since_the_epoch_whatever_their_zone_or_spelling() -> None:
    # Days 10 and 14: mean 12, deviation 2.
    encoder = fit(INSTANT, [datetime(1970, 1, 11, tzinfo=UTC), datetime(1970, 1, 15, tzinfo=UTC), None])
    assert (encoder.mean, encoder.std) == (12.0, 2.0)
    tokyo = timezone(timedelta(hours=9))
    noon = [
        datetime(1970, 1, 15, 12, tzinfo=UTC),
        datetime(1970, 1, 15, 21, tzinfo=tokyo),
        datetime(1970, 1, 15, 12),  # noqa: DTZ001 - without a zone it is UTC
        "1970-01-15T12:00:00Z",
        "1970-01-15T21:00:00+09:00",
        " 1970-01-15 12:00 ",
        1_252_800,
        1_252_800.0,
        "1252800",
    ]
    # Day 14.5: (14.5 - 12) / 2 = 1.25.
    assert encoder.encode(noon).tolist() == [[1.25, 0]] * len(noon)
    assert encoder.encode(["1970-01-01", 0, -86_400]).tolist() == [[-6, 0], [-6, 0], [-6.5, 0]]


@pytest.mark.parametrize(
    "value", [None, math.nan, "", "soon", "2024-13-01", 1e15, math.inf, 10**400, True, ["2024-01-01"]]
)
def test_what_is_no_instant_is_missing(value: object) -> None:
    assert fit(INSTANT, [0, 86_400 * 2]).encode([value]).tolist() == [[0, 1]]


def test_a_half_second_is_part_of_a_day() -> None:
    encoder = fit(INSTANT, [0, 86_400 * 2])
    assert encoder.encode([86_400.5])[0, 0] == pytest.approx(0.5 / 86_400, rel=1e-6)


def query(at: float, *interactions: tuple[int, int, float]) -> Query:
    """A query at a second, after (catalogue row, event code, second) interactions."""
    rows, events, seconds = zip(*interactions, strict=True) if interactions else ((), (), ())
    times = np.asarray([round(second * 1e6) for second in seconds], np.int64)
    history = History(np.asarray(rows, np.int32), np.asarray(events, np.int16), times)
    return Query(history, round(at * 1e6))


SPACE = FeatureSpace((), (), (), ("like", "view"))


def test_padding_stands_on_the_left_and_the_newest_on_the_right() -> None:
    encoded = encode_queries(
        [query(9, (0, 2, 1), (41, 1, 2)), query(9), query(9, *[(n, 1, n) for n in range(6)])], SPACE, 4
    )
    assert encoded["history_items"].tolist() == [[0, 0, 1, 42], [0, 0, 0, 0], [3, 4, 5, 6]]
    assert encoded["history_events"].tolist() == [[0, 0, 2, 1], [0, 0, 0, 0], [1, 1, 1, 1]]
    # Ages of 8 and 7 seconds; of 7, 6, 5 and 4.
    ages = [[0, 0, math.log(9), math.log(8)], [0, 0, 0, 0], [math.log(n) for n in (8, 7, 6, 5)]]
    np.testing.assert_allclose(encoded["history_ages"], ages, rtol=1e-6)


def test_ages_are_log1p_of_seconds_and_never_below_zero() -> None:
    # A microsecond, e - 1 seconds, a day and 50 years before; the same instant; a second and a day after.
    at = 2e9
    seconds = [at - 1_577_836_800, at - 86_400, at - (math.e - 1), at - 1e-6, at, at + 1, at + 86_400]
    encoded = encode_queries([query(at, *[(n, 1, s) for n, s in enumerate(seconds)])], SPACE, 7)
    expected = [math.log(1_577_836_801), math.log(86_401), 1.0, 1e-6, 0, 0, 0]
    np.testing.assert_allclose(encoded["history_ages"][0], expected, rtol=1e-6, atol=1e-9)


def test_event_codes_are_places_in_the_order_of_names() -> None:
    assert [SPACE.event_code(name) for name in ("like", "view")] == [1, 2]


def test_a_saved_instant_and_a_number_from_json_stay_what_they_are() -> None:
    encoder = fit(INSTANT, [datetime(2024, 3, 31, 1, 30, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)])
    again = FeatureSpace.from_json(FeatureSpace((), (encoder,), (), ()).to_json()).users[0]
    moment = datetime(2025, 10, 26, 1, 30, 0, 123_456, tzinfo=UTC)
    sent = json.loads(json.dumps([moment.isoformat(), microseconds(moment) / 1e6]))
    np.testing.assert_array_equal(again.encode(sent), encoder.encode([moment, moment]))
