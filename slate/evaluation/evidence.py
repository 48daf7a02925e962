"""Reading plain JSON strictly: a value is there and of its type, or a GateError says what is not."""

import math
from collections.abc import Mapping
from datetime import datetime

from slate.errors import GateError


def _value(source: object, where: str, key: str) -> object:
    if not isinstance(source, Mapping):
        raise GateError(f"{where}: missing; found {source!r} where its values should be")
    if source.get(key) is None:
        raise GateError(f"{where}.{key}: missing")
    return source[key]


def mapping(source: object, where: str, key: str) -> Mapping[str, object]:
    """A non-empty mapping."""
    value = _value(source, where, key)
    if not isinstance(value, Mapping) or not value:
        raise GateError(f"{where}.{key}: {value!r} holds no values")
    return value


def items(source: object, where: str, key: str) -> list[Mapping[str, object]]:
    """A non-empty list of mappings."""
    value = _value(source, where, key)
    if not isinstance(value, list | tuple) or not value:
        raise GateError(f"{where}.{key}: not a list with entries")
    if not all(isinstance(entry, Mapping) for entry in value):
        raise GateError(f"{where}.{key}: an entry holds no values")
    return list(value)


def number(source: object, where: str, key: str) -> float:
    """A finite number; true and false are not numbers.

    >>> number({"recall": 0.5}, "index", "recall")
    0.5
    >>> number({"recall": float("nan")}, "index", "recall")
    Traceback (most recent call last):
    slate.errors.GateError: index.recall: nan is not a finite number
    """
    value = _value(source, where, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise GateError(f"{where}.{key}: {value!r} is not a finite number")
    return float(value)


def count(source: object, where: str, key: str) -> int:
    """A whole number, 0 or more."""
    value = number(source, where, key)
    if value < 0 or value != int(value):
        raise GateError(f"{where}.{key}: {value!r} is not a count")
    return int(value)


def text(source: object, where: str, key: str) -> str:
    """A non-empty string."""
    value = _value(source, where, key)
    if not isinstance(value, str) or not value.strip():
        raise GateError(f"{where}.{key}: {value!r} is not a name")
    return value


def instant(source: object, where: str, key: str) -> datetime:
    """A point in time with a time zone, RFC 3339."""
    value = text(source, where, key)
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError as error:
        raise GateError(f"{where}.{key}: {value!r} is not an RFC 3339 instant") from error
    if parsed.tzinfo is None:
        raise GateError(f"{where}.{key}: {value!r} has no time zone; write UTC as Z")
    return parsed
