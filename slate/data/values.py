"""Raw feature values, as tables hold them and as JSON spells them, read in one way."""

import math
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from slate.clock import from_microseconds, microseconds

_WORD: Final = re.compile(r"\w+")
_DAY: Final = 86_400e6
_LARGEST_INTEGER: Final = 2.0**63


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores, in lower case and composed form (NFC)."""
    return _WORD.findall(unicodedata.normalize("NFC", text.lower()))


def spelled(value: object) -> str:
    """A category as :func:`slate.data.convert.text` spells it, empty where it is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        if value.is_integer() and abs(value) < _LARGEST_INTEGER:
            return str(int(value))
    return str(value)


def parts(value: object, separator: str) -> list[object]:
    """The entries of a list, of text that a separator cuts, or a single value."""
    if isinstance(value, str):
        return list(value.split(separator))
    return list(value) if isinstance(value, Iterable) else [value]


def number(value: object) -> float:
    """A float, NaN where it is missing or cannot be read as one."""
    try:
        read = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return read if math.isfinite(read) else math.nan


def days(value: object) -> float:
    """Days since the epoch, NaN where it is missing or cannot be read as an instant."""
    try:
        moment = value if isinstance(value, datetime) else _instant(value)
    except (ValueError, OverflowError):
        return math.nan
    return microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) / _DAY


def _instant(value: object) -> datetime:
    """From seconds since the epoch or ISO 8601 text; ValueError and OverflowError for anything else."""
    seconds = math.nan if isinstance(value, bool) else number(value)
    if math.isnan(seconds):
        return datetime.fromisoformat(str(value).strip())
    return from_microseconds(math.floor(Decimal(str(seconds)) * 1_000_000))
