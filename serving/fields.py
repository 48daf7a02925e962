"""The fields of a request, each checked once. Absent and null mean the same.

Every function raises :class:`~serving.refusal.InputError` whose path begins with the field's name.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from serving.refusal import InputError, shown
from slate.recommend.request import Interaction

MAX_ID_BYTES: Final = 1024
_SURELY_SHORT: Final = MAX_ID_BYTES // 4
_INTERACTION: Final = frozenset({"item_id", "event", "timestamp"})
_SCALARS: Final = (str, int, float, bool, type(None))


def identifier(value: object, path: str) -> str:
    """An id: text of 1 to 1024 bytes in UTF-8."""
    if type(value) is not str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise InputError(path, f"{value} is a number", f'ids are text, send "{value}"')
        raise InputError(path, f"{shown(value)} is not text", "ids are text")
    if not value:
        raise InputError(path, "the id is empty", "send an id, or leave the field out")
    if len(value) > _SURELY_SHORT and len(value.encode()) > MAX_ID_BYTES:
        raise InputError(path, f"the id has {len(value.encode())} bytes", f"send at most {MAX_ID_BYTES}")
    return value


def user(value: object, header: str | None) -> str | None:
    """The user, who must be the one that the header names, if it names one."""
    if value is None:
        return header
    name = identifier(value, "user_id")
    if header is not None and name != header:
        raise InputError(
            "user_id",
            f"{shown(name)} is not {shown(header)}, as the header x-slate-user-id says",
            "send the same id in both, or in one",
        )
    return name


def identifiers(value: object, field: str, most: int, *, least: int = 0) -> Sequence[str]:
    """A list of ids."""
    if value is None and not least:
        return ()
    ids = _list(value, field, most)
    if len(ids) < least:
        raise InputError(field, "there are no ids", f"send 1 to {most}")
    for place, each in enumerate(ids):
        # The common case is decided here: a call for each of a thousand ids is what would take the time.
        if type(each) is not str or not 0 < len(each) <= _SURELY_SHORT:
            identifier(each, f"{field}[{place}]")
    return ids


def length(value: object, most: int) -> int | None:
    """``k``: how many items a slate may have; None is the release's own."""
    if value is None:
        return None
    if type(value) is not int:
        raise InputError("k", f"{shown(value)} is not a whole number", f"send 1 to {most}")
    if value < 1:
        raise InputError("k", f"{value} is below 1", f"send 1 to {most}")
    if value > most:
        raise InputError("k", f"{shown(value)} is above {most}", f"send 1 to {most}")
    return value


def flag(value: object, field: str) -> bool:
    """True or false; false where absent."""
    if value is None:
        return False
    if type(value) is not bool:
        raise InputError(field, f"{shown(value)} is not true or false", "send true or false")
    return value


def deadline(value: object) -> float | None:
    """``deadline_ms``: milliseconds, above 0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError("deadline_ms", f"{shown(value)} is not a number", "send milliseconds")
    if not 0 < value < math.inf:
        raise InputError("deadline_ms", f"{shown(value)} is not above 0", "send milliseconds")
    return float(value)


def instant(value: object, path: str) -> datetime:
    """An RFC 3339 instant in UTC; a time zone must be given."""
    if type(value) is not str:
        raise InputError(path, f"{shown(value)} is not text", "send RFC 3339, as in 2026-01-31T12:00:00Z")
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise InputError(path, f"{shown(value)} has no time zone", "add Z or an offset, as in +02:00")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            path, f"{shown(value)} is not an instant", "send RFC 3339, as in 2026-01-31T12:00:00Z"
        ) from None


def history(value: object, most: int) -> list[str | Interaction] | None:
    """What the user did: ids, and interactions whose event and instant are known; None if not given.

    An id alone stays an id: only the release knows which event it stands for.
    """
    if value is None:
        return None
    return [_happening(each, f"history[{place}]") for place, each in enumerate(_list(value, "history", most))]


def context(value: object) -> tuple[Mapping[str, object], datetime | None]:
    """Context features by name, and the request's own instant if ``timestamp`` gives one."""
    if value is None:
        return {}, None
    if type(value) is not dict:
        raise InputError("context", f"{shown(value)} is not an object", "send features by name")
    at = None
    features: dict[str, object] = {}
    for name, each in value.items():
        if name == "timestamp":
            at = None if each is None else instant(each, "context.timestamp")
        else:
            features[name] = _feature(each, f"context.{name[:64]}")
    return features, at


def _happening(value: object, path: str) -> str | Interaction:
    if type(value) is not dict:
        return identifier(value, path)
    known(value, _INTERACTION, path)
    names = sorted(_INTERACTION)
    for name in names:
        if value.get(name) is None:
            raise InputError(
                f"{path}.{name}", "is missing", "send item_id, event and timestamp, or an id alone"
            )
    return Interaction(
        identifier(value["item_id"], f"{path}.item_id"),
        identifier(value["event"], f"{path}.event"),
        instant(value["timestamp"], f"{path}.timestamp"),
    )


def known(value: Mapping[str, object], names: frozenset[str], path: str) -> None:
    """Refuse fields that nothing reads: they are most likely misspelt."""
    unknown = value.keys() - names
    if unknown:
        name = min(unknown)[:64]
        raise InputError(
            f"{path}.{name}" if path else name, "is not a field", f"the fields are {', '.join(sorted(names))}"
        )


def _feature(value: object, path: str) -> object:
    if type(value) is list:
        for each in value:
            if isinstance(each, list | dict):
                raise InputError(path, "is nested", "send text, a number, true, false, or a list of these")
            _feature(each, path)
        return value
    if not isinstance(value, _SCALARS):
        raise InputError(path, "is an object", "send text, a number, true, false, or a list of these")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(path, f"{value} is not finite", "send a finite number, or leave it out")
    return value


def _list(value: object, field: str, most: int) -> list[Any]:
    if type(value) is not list:
        raise InputError(field, f"{shown(value)} is not a list", f"send a list of at most {most}")
    if len(value) > most:
        raise InputError(field, f"{len(value)} are too many", f"send at most {most}")
    return value
