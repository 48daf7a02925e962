import math

import pytest

from slate.errors import GateError
from slate.evaluation import evidence


@pytest.mark.parametrize(
    ("read", "value", "problem"),
    [
        (evidence.number, None, "missing"),
        (evidence.number, True, "not a finite number"),
        (evidence.number, "1", "not a finite number"),
        (evidence.number, math.inf, "not a finite number"),
        (evidence.count, -1, "not a count"),
        (evidence.count, 2.5, "not a count"),
        (evidence.text, "  ", "not a name"),
        (evidence.text, 5, "not a name"),
        (evidence.instant, "yesterday", "not an RFC 3339 instant"),
        (evidence.instant, "2026-01-01T00:00:00", "no time zone"),
        (evidence.mapping, {}, "holds no values"),
        (evidence.mapping, [1], "holds no values"),
        (evidence.items, {}, "not a list"),
        (evidence.items, [], "not a list"),
        (evidence.items, [{}, 3], "an entry holds no values"),
    ],
)
def test_unsound_values_are_named(read, value, problem):
    with pytest.raises(GateError, match=f"here.key: .*{problem}|here.key: {problem}"):
        read({"key": value}, "here", "key")


@pytest.mark.parametrize("source", [None, [], "text", 3])
def test_a_source_without_keys_is_named(source):
    with pytest.raises(GateError, match="here: missing"):
        evidence.number(source, "here", "key")


def test_sound_values_come_back():
    assert evidence.count({"n": 3.0}, "x", "n") == 3
    assert (
        evidence.instant({"t": "2026-01-01T00:00:00Z"}, "x", "t").isoformat() == "2026-01-01T00:00:00+00:00"
    )
    assert evidence.items({"i": ({"a": 1},)}, "x", "i") == [{"a": 1}]
