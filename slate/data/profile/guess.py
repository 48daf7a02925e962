"""What raw columns seem to be: from their names and from what they hold, each guess with its reason."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from slate.data.profile.raw import ColumnProfile, FileProfile, names_of
from slate.errors import DataError

Role = Literal["user_id", "item_id", "timestamp", "event", "value"]
Unit = Literal["s", "ms", "us", "ns"]

#: Words of a column's name that speak for a role, the strongest first.
_WORDS: Final[Mapping[Role, tuple[str, ...]]] = {
    "user_id": (
        "user", "uid", "customer", "reviewer", "visitor", "member", "reader", "person", "account", "client",
        "session",
    ),
    "item_id": (
        "item", "iid", "asin", "product", "movie", "film", "book", "article", "track", "song", "video", "sku",
        "isbn", "business", "content", "doc", "page", "post", "anime", "recipe", "listing",
    ),
    "timestamp": ("timestamp", "time", "date", "when", "ts", "datetime", "created", "at", "day"),
    "event": ("event", "action", "behavior", "behaviour", "what", "verb", "interaction", "activity", "type"),
    "value": (
        "rating", "stars", "score", "value", "dwell", "watch", "seconds", "duration", "overall", "weight",
        "quantity", "plays", "count",
    ),
}  # fmt: skip
_FEW: Final = 60
_SECONDS: Final = (100_000_000, 5_000_000_000)  # 1973 to 2128
_UNITS: Final[tuple[tuple[Unit, int], ...]] = (
    ("s", 1),
    ("ms", 1_000),
    ("us", 1_000_000),
    ("ns", 1_000_000_000),
)


@dataclass(frozen=True)
class Guess:
    """A column's role in the interactions. ``sure``: its name and what it holds both speak for it."""

    role: Role
    column: str
    why: str
    sure: bool
    unit: Unit | None = None


@dataclass(frozen=True)
class FeatureGuess:
    """A column's kind as a feature."""

    column: str
    kind: str
    why: str
    separator: str = "|"


def words(name: str) -> list[str]:
    """The words of a column's name, in whatever style it is written.

    >>> words("unixReviewTime"), words("user_id"), words("MOVIE-ID")
    (['unix', 'review', 'time'], ['user', 'id'], ['movie', 'id'])
    >>> words("visitorid")
    ['visitor', 'id']
    """
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    found = [w.lower() for w in re.split(r"[^A-Za-z0-9]+", split) if w]
    return [part for w in found for part in ((w[:-2], "id") if len(w) > 4 and w.endswith("id") else (w,))]


def time_unit(column: ColumnProfile) -> Unit | None:
    """The unit in which whole numbers are times since 1970; None where they are none."""
    if column.low is None or column.high is None or column.numbers < column.present:
        return None
    for unit, factor in _UNITS:
        if _SECONDS[0] * factor <= column.low and column.high <= _SECONDS[1] * factor:
            return unit
    return None


def roles(file: FileProfile, given: Mapping[Role, str]) -> dict[Role, Guess]:
    """The best column for each role; ``given`` names the ones that are known.

    Raises:
        DataError: a given column is not there.
    """
    found: dict[Role, Guess] = {}
    taken: set[str] = set()
    for role, name in given.items():
        if name not in {c.name for c in file.columns}:
            raise DataError(
                f"--{role.replace('_', '-')} {name}: no such column; there are {names_of([file])}"
            )
        column = file.column(name)
        found[role] = Guess(
            role, name, "named by you", True, time_unit(column) if role == "timestamp" else None
        )
        taken.add(name)
    order: tuple[Role, ...] = ("timestamp", "user_id", "item_id", "event", "value")
    for role in order:
        if role in found:
            continue
        scored = [(_score(c, role, file), c) for c in file.columns if c.name not in taken]
        best = max(scored, key=lambda entry: entry[0][0], default=None)
        if best is None or best[0][0] < 2:
            continue
        (points, why), column = best
        unit = time_unit(column) if role == "timestamp" else None
        found[role] = Guess(role, column.name, why, points >= 3.5, unit)
        taken.add(column.name)
    return found


def _score(column: ColumnProfile, role: Role, file: FileProfile) -> tuple[float, str]:
    """Points for a role and the reason: 3 for the name, up to 2 for the content; below 0 it cannot be."""
    if not column.present:
        return -1, "no value"
    name = words(column.name)
    hits = [(place, w) for place, w in enumerate(_WORDS[role]) if w in name]
    points, reasons = 0.0, []
    if hits:
        points = 3 - 0.05 * hits[0][0]
        reasons.append(f"its name says {hits[0][1]}")
    content, reason = _CONTENT[role](column, file)
    if content < 0:
        return content, reason
    if content:
        reasons.append(reason)
    return points + content, " and ".join(reasons)


def _time(column: ColumnProfile, _: FileProfile) -> tuple[float, str]:
    if column.moments > 0.9 * column.present:
        return 2, "its values are dates"
    unit = time_unit(column)
    if unit and column.whole > 0.9 * column.present:
        return 2, f"its numbers are times since 1970 in {unit}"
    return -1, "no times"


def _identifier(column: ColumnProfile, file: FileProfile) -> tuple[float, str]:
    fractional = column.numbers == column.present and column.whole < column.present
    if column.distinct < 2 or time_unit(column) or column.moments > 0.9 * column.present or fractional:
        return -1, "no ids"
    if column.length > 80:
        return -1, "long text"
    if column.distinct < file.rows:
        return 1.2 if "id" in words(column.name) else 1, f"{column.distinct:,} values repeat over the rows"
    return 0, ""


def _event(column: ColumnProfile, _: FileProfile) -> tuple[float, str]:
    if column.distinct > 20 or column.numbers == column.present or column.length > 30:
        return -1, "no event names"
    return 1, f"it has {column.distinct} values, such as {column.top[0][0]!r}"


def _value(column: ColumnProfile, _: FileProfile) -> tuple[float, str]:
    if column.numbers < 0.9 * column.present or time_unit(column):
        return -1, "no numbers"
    return 1, f"it holds numbers from {column.low:g} to {column.high:g}"


_CONTENT: Final = {
    "timestamp": _time,
    "user_id": _identifier,
    "item_id": _identifier,
    "event": _event,
    "value": _value,
}


def feature(column: ColumnProfile) -> FeatureGuess | None:
    """What a column would be as a feature; None where it would be none."""
    if column.present < 2 or column.distinct < 2:
        return None
    if column.moments > 0.9 * column.present or time_unit(column):
        return FeatureGuess(column.name, "timestamp", "its values are times")
    if column.numbers > 0.9 * column.present:
        return FeatureGuess(column.name, "numeric", f"its numbers go from {column.low:g} to {column.high:g}")
    for separator, share in column.separators.items():
        if separator != "," and share > 0.2 and column.length < 80:
            return FeatureGuess(
                column.name, "categorical_list", f"its values are joined by {separator!r}", separator
            )
    if column.distinct <= max(_FEW, 0.5 * column.present) and column.length < 40:
        return FeatureGuess(
            column.name, "categorical", f"{column.distinct:,} values in {column.present:,} rows"
        )
    return FeatureGuess(column.name, "text", f"{column.length:.0f} characters on average, hardly a repeat")


def entity_key(file: FileProfile, words_of: Sequence[str], ids: ColumnProfile) -> str | None:
    """The column of another file that names the ids of the interactions: one row each, the same values."""
    shared = {value for value, _ in ids.top}
    best: tuple[float, str] | None = None
    for column in file.columns:
        if column.distinct < 0.98 * file.rows or not column.present:
            continue
        points = 2.0 * any(w in words(column.name) for w in words_of) + (column.name == ids.name)
        points += any(value in shared for value, _ in column.top) + ("id" in words(column.name))
        if best is None or points > best[0]:
            best = (points, column.name)
    return best[1] if best and best[0] >= 1 else None
