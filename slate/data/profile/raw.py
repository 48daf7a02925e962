"""Raw files as they are: every column's values counted, before any configuration says what they mean."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ibis
import ibis.expr.types as ir

from slate.config import Table
from slate.data import convert, engine
from slate.errors import DataError

#: Spellings of a missing value, in lower case.
MISSING: Final = ("", "na", "n/a", "nan", "null", "none", "-", "?", "\\n", "undefined")
_SEPARATORS: Final = ",;\t|"
_SNIFFED: Final = 65_536
_TOP: Final = 8
_MOMENT: Final = r"^\s*\d{4}-\d{1,2}-\d{1,2}"


@dataclass(frozen=True)
class ColumnProfile:
    """One raw column. Counts are of rows; ``numbers`` and ``whole`` and ``moments`` of present values that
    read as a number, a whole number, an ISO 8601 date or time. ``top`` is the most frequent values.
    ``low`` and ``high`` bound the numbers. ``missing`` counts spellings; ``padded`` outer spaces.
    """

    name: str
    type: str
    rows: int
    present: int
    distinct: int
    missing: Mapping[str, int]
    numbers: int
    whole: int
    moments: int
    infinite: int
    padded: int
    low: float | None
    high: float | None
    length: float
    separators: Mapping[str, float]
    top: tuple[tuple[str, int], ...]

    @property
    def odd(self) -> str:
        """What does not fit the rest of the column, in words; empty where all does."""
        found = []
        strange = self.present - self.numbers
        if self.numbers > 0.9 * self.present > 0 and strange:
            found.append(f"{strange:,} of {self.present:,} values are no number")
        strange = self.present - self.moments
        if self.moments > 0.9 * self.present > 0 and strange:
            found.append(f"{strange:,} of {self.present:,} values are no time")
        if self.infinite:
            found.append(f"{self.infinite:,} values are infinite")
        if self.padded:
            found.append(f"{self.padded:,} values have outer spaces")
        spelled = {text: n for text, n in self.missing.items() if text and n}
        if spelled:
            found.append("missing spelled " + ", ".join(f"{t!r} {n:,} times" for t, n in spelled.items()))
        if self.rows > 1 and self.present and self.distinct == 1:
            found.append("a single value")
        if not self.present:
            found.append("no value at all")
        return "; ".join(found)


@dataclass(frozen=True)
class FileProfile:
    """One raw file, how it is read, and its columns."""

    path: str
    table: Table
    rows: int
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile:
        return next(c for c in self.columns if c.name == name)


def look(path: str | Path) -> FileProfile:
    """Profile one CSV or Parquet file; its separator is found from its first lines.

    Raises:
        DataError: the file is missing, empty or unreadable.
    """
    path = str(path)
    table = Table(path=path, separator=_separator(path))
    connection = engine.connect()
    raw = engine.read(connection, table, "interactions")
    (head,) = engine.fetch(raw.aggregate(rows=raw.count()), "interactions").to_pylist()
    if not head["rows"]:
        raise DataError(f"{path}: has no rows; name a file with data")
    columns = tuple(_column(raw, name, head["rows"]) for name in raw.columns)
    return FileProfile(path, table, head["rows"], columns)


def _separator(path: str) -> str:
    if path.endswith((".parquet", ".pq")) or not Path(path).is_file():
        return ","
    with Path(path).open("rb") as file:
        sample = file.read(_SNIFFED).decode("utf-8", errors="replace")
    lines = sample.splitlines()[:50]
    try:
        return csv.Sniffer().sniff("\n".join(lines), _SEPARATORS).delimiter
    except csv.Error:
        return max(_SEPARATORS, key=lambda s: lines[0].count(s)) if lines else ","


def _column(raw: ir.Table, name: str, rows: int) -> ColumnProfile:
    column = raw[name]
    if column.type().is_array():
        spelled = column.cast("array<string>").join("|")
    else:
        spelled = convert.text(column) if not column.type().is_nested() else column.cast("string")
    table = raw.select(text=spelled)
    folded = table.text.strip().lower()
    counted = table.group_by(key=folded.fill_null("")).aggregate(n=lambda t: t.count())
    missing = {
        row["key"]: row["n"]
        for row in engine.fetch(counted.filter(counted.key.isin(MISSING)), "interactions").to_pylist()
    }
    values = table.filter(~folded.fill_null("").isin(MISSING))
    text = values.text
    number = text.try_cast("float64")
    finite = (~number.isnan() & ~number.isinf()).ifelse(number, ibis.null("float64"))
    separators: dict[str, Any] = {
        f"s{place}": text.contains(s).cast("float64").mean() for place, s in enumerate("|,;")
    }
    summary = values.aggregate(
        present=values.count(),
        distinct=text.nunique(),
        numbers=number.count(),
        whole=text.re_search(r"^\s*[-+]?[0-9]+\s*$").cast("int64").sum(),
        moments=text.re_search(_MOMENT).cast("int64").sum(),
        infinite=number.isinf().cast("int64").sum(),
        padded=(text != text.strip()).cast("int64").sum(),
        low=finite.min(),
        high=finite.max(),
        length=text.length().mean(),
        **separators,
    )
    (found,) = engine.fetch(summary, "interactions").to_pylist()
    most = (
        values.group_by("text").aggregate(n=lambda t: t.count()).order_by(ibis.desc("n"), "text").limit(_TOP)
    )
    top = tuple((row["text"], row["n"]) for row in engine.fetch(most, "interactions").to_pylist())
    return ColumnProfile(
        name=name,
        type=str(column.type()),
        rows=rows,
        present=found["present"],
        distinct=found["distinct"],
        missing=dict(sorted(missing.items())),
        numbers=found["numbers"],
        whole=found["whole"] or 0,
        moments=found["moments"] or 0,
        infinite=found["infinite"] or 0,
        padded=found["padded"] or 0,
        low=found["low"],
        high=found["high"],
        length=found["length"] or 0.0,
        separators={s: found[f"s{place}"] or 0.0 for place, s in enumerate("|,;")},
        top=top,
    )


def names_of(files: Sequence[FileProfile]) -> str:
    """All columns of some files, for messages."""
    return "; ".join(f"{Path(f.path).name}: {', '.join(c.name for c in f.columns)}" for f in files)
