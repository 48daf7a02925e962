"""Cron expressions for Kubeflow Pipelines, which counts seconds first.

https://www.kubeflow.org/docs/components/pipelines/concepts/run-trigger/ ; the fields are those of
https://pkg.go.dev/github.com/robfig/cron
"""

import re
from typing import Final, NamedTuple

from slate.errors import ConfigError


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)
_PART: Final = re.compile(r"(?P<first>\*|\?|\w+)(-(?P<last>\w+))?(/(?P<step>\d+))?")


def six_fields(expression: str) -> str:
    """A cron expression with seconds: five fields run at second 0, six stay as they are.

    Raises:
        ConfigError: another number of fields, or a value that its field cannot take.

    >>> six_fields("0 3 * * *")
    '0 0 3 * * *'
    >>> six_fields("30 0 9 ? * mon-fri")
    '30 0 9 ? * mon-fri'
    """
    parts = expression.split()
    if len(parts) == len(_FIELDS) - 1:
        parts = ["0", *parts]
    if len(parts) != len(_FIELDS):
        raise ConfigError(
            f"cron {expression!r}: has {len(parts)} fields; give five (minute, hour, day of month, month, "
            "day of week) or six with seconds first, for example '0 3 * * *' for 03:00 every day"
        )
    for field, part in zip(_FIELDS, parts, strict=True):
        for item in part.split(","):
            problem = _problem(field, item)
            if problem:
                raise ConfigError(f"cron {expression!r}: {field.name} {item!r} {problem}")
    return " ".join(parts)


def _problem(field: _Field, item: str) -> str | None:
    match = _PART.fullmatch(item)
    if match is None:
        return "is not a number, a range like 1-5, a step like */15, or *"
    if match["first"] == "?" and not field.name.startswith("day"):
        return "is only for days; write *"
    if match["step"] is not None and int(match["step"]) == 0:
        return "has a step of 0; the smallest is 1"
    bounds = []
    for text in (match["first"], match["last"]):
        if text is None or text in "*?":
            continue
        value = _value(field, text)
        if value is None or not field.low <= value <= field.high:
            hint = "; Sunday is 0" if text == "7" and field.words is _DAYS else ""
            return f"is out of range: {field.low} to {field.high}{hint}"
        bounds.append(value)
    if match["last"] is not None and len(bounds) < 2:
        return "is no range: both ends must be values"
    return "runs backward; put the smaller end first" if bounds != sorted(bounds) else None


def _value(field: _Field, text: str) -> int | None:
    if text.lower() in field.words:
        return field.low + field.words.index(text.lower())
    return int(text) if text.isdecimal() else None
