"""The fields of an event or item, each checked once. Absent and null mean the same.

Every function raises :class:`~slate.feedback.endpoint.refusal.BadFieldError` that names the field.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from slate.feedback.endpoint.refusal import BadFieldError, shown

#: The longest id of a user or item, in bytes of UTF-8: as the model server takes them.
MAX_ID_BYTES: Final = 1024
#: The longest id of an event.
MAX_EVENT_ID_BYTES: Final = 256
SCHEMA: Final = 1

#: What exports write where an id is missing.
_MARKERS: Final = frozenset({"null", "none", "nan", "n/a", "undefined", "<na>"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EXAMPLE: Final = "send RFC 3339 in UTC, as in 2026-01-31T12:00:00Z"


class Repeated(dict[str, Any]):
    """A JSON object in which a name stands twice, so that nobody can say what it means."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's pairs as a mapping, for ``json.loads(object_pairs_hook=...)``."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    return Repeated(next(name for name in names if names.count(name) > 1))


def mapping(value: object, fields: frozenset[str], what: str) -> Mapping[str, Any]:
    """An object that has these fields at most."""
    if type(value) is Repeated:
        raise BadFieldError(shown(value.name)[1:-1], "stands twice", "send each field once")
    if type(value) is not dict:
        raise BadFieldError(what, f"{shown(value)} is not an object", f"send {', '.join(sorted(fields))}")
    if not value.keys() <= fields:
        name = min(value.keys() - fields)
        raise BadFieldError(
            shown(name)[1:-1], "is not a field", f"the fields are {', '.join(sorted(fields))}"
        )
    given: Mapping[str, Any] = value
    return given


def schema(value: object) -> None:
    """The version of the shape."""
    if value is None:
        raise BadFieldError("schema", "is missing", f"send {SCHEMA}")
    if type(value) is not int or value != SCHEMA:
        raise BadFieldError("schema", f"{shown(value)} is not known here", f"send {SCHEMA}")


def identifier(value: object, field: str, most: int = MAX_ID_BYTES) -> str:
    """An id: text of 1 to ``most`` bytes, printable, as it stands."""
    if value is None:
        raise BadFieldError(field, "is missing", "send an id")
    if type(value) is not str:
        raise BadFieldError(field, f"{shown(value)} is not text", "ids are text, in quotes")
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise BadFieldError(field, "holds half a character", "send whole characters in UTF-8") from None
    if not 0 < size <= most:
        raise BadFieldError(field, f"has {size} bytes", f"send 1 to {most}")
    if not value.isprintable() and _CONTROL.search(value):
        raise BadFieldError(field, f"{shown(value)} holds control characters", "send them without")
    if value[0].isspace() or value[-1].isspace():
        raise BadFieldError(field, f"{shown(value)} begins or ends with space", "send the id alone")
    if len(value) <= 9 and value.lower() in _MARKERS:
        raise BadFieldError(field, f"{shown(value)} stands for no id at all", "send an id")
    return value


def instant(value: object, field: str) -> datetime:
    """An RFC 3339 instant in UTC."""
    if value is None:
        raise BadFieldError(field, "is missing", _EXAMPLE)
    if type(value) is not str:
        raise BadFieldError(field, f"{shown(value)} is not text", _EXAMPLE)
    if len(value) > 64 or _RFC_3339.fullmatch(value) is None:
        zoned = value.endswith(("Z", "z")) or re.search(r"[+-]\d\d:?\d\d$", value)
        problem = "is not an instant" if zoned else "is not an instant with a time zone"
        raise BadFieldError(field, f"{shown(value)} {problem}", _EXAMPLE)
    try:
        at = datetime.fromisoformat(value.upper())
    except ValueError:
        raise BadFieldError(field, f"{shown(value)} is not a day and time", _EXAMPLE) from None
    if at.utcoffset():
        raise BadFieldError(field, f"{shown(value)} is not in UTC", _EXAMPLE)
    return at.astimezone(UTC)


def number(value: object, field: str) -> float:
    """A finite number, not text that looks like one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadFieldError(field, f"{shown(value)} is not a number", "send a finite number")
    try:
        read = float(value)
    except OverflowError:
        read = math.inf
    if not math.isfinite(read):
        raise BadFieldError(field, f"{shown(read)} is not finite", "send a finite number")
    return read


def within(value: float, low: float | None, high: float | None, field: str) -> None:
    """Refuse a value outside the range; both ends are inside."""
    if (low is not None and value < low) or (high is not None and value > high):
        least, most = "any" if low is None else f"{low:g}", "any" if high is None else f"{high:g}"
        raise BadFieldError(field, f"{value:g} is out of range", f"it goes from {least} to {most}")
