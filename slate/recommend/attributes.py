"""Features of items as filters, sources and orderings read them, by catalogue row."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.data import values
from slate.data.catalogue import Catalogue
from slate.errors import ConfigError
from slate.retrieval.sources.records import NEVER

#: Microseconds since the epoch by catalogue row.
Instants = npt.NDArray[np.int64]

_MICROSECONDS_A_DAY: Final = 86_400_000_000
_NO: Final = frozenset({"false", "no", "n", "f", "0"})


def raw(catalogue: Catalogue, name: str, setting: str) -> list[object]:
    """A feature of items as it was prepared.

    Raises:
        ConfigError: items have no such feature; ``setting`` is what named it.
    """
    names = catalogue.table.column_names
    if name not in names:
        raise ConfigError(f"{setting}: items have no feature {name!r}; there are {', '.join(sorted(names))}")
    found: list[object] = catalogue.table[name].to_pylist()
    return found


def texts(value: object) -> list[str]:
    """A list, or a single value, as distinct texts; empty where it is missing. Text is never cut."""
    entries = [value] if isinstance(value, str) else values.parts(value, "")
    return list(dict.fromkeys(text for text in map(values.spelled, entries) if text))


def instants(column: Sequence[object]) -> Instants:
    """Every value as an instant, :data:`~slate.retrieval.sources.records.NEVER` where there is none."""
    days = np.asarray([values.days(value) for value in column], np.float64)
    known = np.isfinite(days)
    return np.where(known, np.rint(np.where(known, days, 0.0) * _MICROSECONDS_A_DAY), NEVER).astype(np.int64)


def numbers(column: Sequence[object]) -> npt.NDArray[np.float64]:
    """Every value as a number, NaN where there is none."""
    return np.asarray([values.number(value) for value in column], np.float64)


def denied(column: Sequence[object]) -> npt.NDArray[np.bool_]:
    """Where a value says no."""
    return np.asarray([values.spelled(value).lower() in _NO for value in column], np.bool_)
