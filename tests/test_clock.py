from datetime import UTC, datetime, timedelta, timezone

import pytest

from slate.clock import VARIABLE, ManualClock, Scale, SystemClock, from_microseconds, isoformat, microseconds
from slate.errors import ConfigError


def test_instants_are_spelled_in_utc_with_microseconds() -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    assert isoformat(datetime(2026, 3, 1, 2, 30, 0, 7, kathmandu)) == "2026-02-28T20:45:00.000007Z"


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), -1),
        (datetime(1997, 9, 20, 3, 5, 10, 123_456, UTC), 874_724_710_123_456),
    ],
)
def test_microseconds_are_exact_both_ways(instant: datetime, expected: int) -> None:
    assert microseconds(instant) == expected
    assert from_microseconds(expected) == instant


def test_microseconds_do_not_depend_on_the_zone_an_instant_is_told_in() -> None:
    berlin = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert microseconds(berlin) == microseconds(datetime(2026, 7, 1, 10, tzinfo=UTC))


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(timedelta(minutes=5))
    assert clock.now() == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert clock.now() == clock.now()


def test_a_scaled_clock_runs_faster_from_where_it_started() -> None:
    clock = SystemClock(Scale(1e6, datetime.now(UTC).timestamp()))
    first = clock.now()
    passed = clock.now() - first
    while passed == timedelta(0):
        passed = clock.now() - first
    assert passed > timedelta(microseconds=100)
    assert SystemClock().now().tzinfo is UTC


def test_processes_share_a_scale_and_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setenv(VARIABLE, str(Scale(24, hour_ago.timestamp())))
    first, second = SystemClock(), SystemClock()
    ahead = first.now() - datetime.now(UTC)
    assert abs(ahead - timedelta(hours=23)) < timedelta(hours=1), "one real hour is a day here"
    assert first.now() <= second.now() <= first.now()


@pytest.mark.parametrize("text", ["60", "0@1", "-2@1", "fast@1", "nan@1", "60@inf"])
def test_what_is_no_scale_is_refused_by_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigError, match=VARIABLE):
        SystemClock()
