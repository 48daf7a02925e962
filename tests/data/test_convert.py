from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pytest

from slate.config import Feature, FeatureKind
from slate.data import convert, engine


def column(values: Sequence[Any], kind: pa.DataType) -> ir.Value:
    return engine.connect().create_table("raw", pa.table({"c": pa.array(values, kind)})).c


def run(expression: ir.Value) -> list[Any]:
    result = expression.name("c").to_pyarrow()
    return [result.as_py()] if isinstance(result, pa.Scalar) else result.to_pylist()


MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
EXACT = MOMENT.replace(microsecond=123_456)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["007", "7", " x", ""], pa.string(), ["007", "7", " x", ""]),
        ([1, None, 2**63 - 1, -4], pa.int64(), ["1", None, "9223372036854775807", "-4"]),
        ([2**64 - 1], pa.uint64(), ["18446744073709551615"]),
        ([1.0, None, 2.5, float("nan"), 2.0**53], pa.float64(), ["1", None, "2.5", None, "9007199254740992"]),
        ([True, None], pa.bool_(), ["true", None]),
    ],
)  # fmt: skip
def test_ids_stay_exactly_what_they_were(
    values: list[Any], kind: pa.DataType, expected: list[str | None]
) -> None:
    assert run(convert.text(column(values, kind))) == expected


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (1_700_000_000, "s"),
        (1_700_000_000_000, "ms"),
        (1_700_000_000_000_000, "us"),
        (1_700_000_000 * 10**9, "ns"),
    ],
)
def test_whole_numbers_are_read_in_their_unit_as_number_and_as_text(value: int, unit: str) -> None:
    assert run(convert.instant(column([value], pa.int64()), unit)) == [MOMENT]
    assert run(convert.instant(column([str(value)], pa.string()), unit)) == [MOMENT]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1700000000.123456", "s"),
        ("1700000000123.456", "ms"),
        ("1700000000123456", "us"),
        ("1700000000123456789", "ns"),
    ],
)
def test_no_microsecond_is_lost(text: str, unit: str) -> None:
    assert run(convert.instant(column([text], pa.string()), unit)) == [EXACT]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-14T22:13:20Z", MOMENT),
        ("2023-11-14 22:13:20", MOMENT),
        ("2023-11-15T00:13:20+02:00", MOMENT),
        ("2023-11-14T16:43:20.123456-0530", EXACT),
        ("2023-11-14", datetime(2023, 11, 14, tzinfo=UTC)),
        # Both sides of a change to summer time: the offset decides, never a local clock.
        ("2026-03-29T01:59:59+01:00", datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)),
        ("2026-03-29T03:00:00+02:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        # The hour that a local clock lives twice.
        ("2026-10-25T02:30:00+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("31/12/2024", None),
        ("2024-13-01", None),
        ("infinity", None),
        ("epoch", None),
        ("", None),
        (None, None),
        ("9" * 30, None),
        ("9" * 60, None),
    ],
)
def test_text_is_iso_8601_in_utc_unless_it_says_otherwise(
    text: str | None, expected: datetime | None
) -> None:
    assert run(convert.instant(column([text], pa.string()), "s")) == [expected]


def test_native_times_and_dates_become_utc() -> None:
    naive = column([datetime(2023, 11, 14, 22, 13, 20)], pa.timestamp("ns"))  # noqa: DTZ001
    zoned = column([MOMENT], pa.timestamp("ms", "Asia/Tokyo"))
    assert run(convert.instant(naive, "s")) == run(convert.instant(zoned, "s")) == [MOMENT]
    assert run(convert.instant(column([date(2024, 2, 29)], pa.date32()), "s")) == [
        datetime(2024, 2, 29, tzinfo=UTC)
    ]


def test_numbers_that_are_no_instant_are_null() -> None:
    floats = [1_700_000_000.5, float("nan"), float("inf"), 1e300, None]
    assert run(convert.instant(column(floats, pa.float64()), "s")) == [
        MOMENT.replace(microsecond=500_000), None, None, None, None,
    ]  # fmt: skip
    assert run(convert.instant(column([True], pa.bool_()), "s")) == [None]


def test_numbers_that_cannot_be_read_are_null() -> None:
    assert run(convert.number(column(["1.5", "-2", "", "many", None, "1e3"], pa.string()))) == [
        1.5, -2.0, None, None, None, 1000.0,
    ]  # fmt: skip
    assert run(convert.number(column([date(2024, 1, 1)], pa.date32()))) == [None]


def test_features_are_typed_by_their_kind() -> None:
    lists = Feature(kind=FeatureKind.CATEGORICAL_LIST, separator=";")
    assert run(convert.feature(column(["a;b", "c", "", None], pa.string()), lists)) == [
        ["a", "b"], ["c"], None, None,
    ]  # fmt: skip
    assert run(convert.feature(column([[1, 2], None], pa.list_(pa.int64())), lists)) == [["1", "2"], None]
    category = Feature(kind=FeatureKind.CATEGORICAL)
    assert run(convert.feature(column([3.0, None], pa.float64()), category)) == ["3", None]
    assert run(convert.feature(column(["", "x"], pa.string()), category)) == [None, "x"]
    sensitive = Feature(kind=FeatureKind.SENSITIVE)
    assert run(convert.feature(column([41, None], pa.int32()), sensitive)) == [41.0, None]
