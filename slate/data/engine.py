"""The preparation engine: Ibis expressions, run by DuckDB."""

import difflib
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.common.exceptions import IbisError

from slate.config import Table
from slate.errors import DataError

_UNREADABLE: Final = (duckdb.Error, IbisError, pa.ArrowException, OSError)
_SHOWN: Final = 20


def connect() -> Any:
    """A fresh in-process DuckDB connection that reads times without an offset as UTC."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def read(connection: Any, table: Table, name: str) -> ir.Table:
    """Read one raw table. Columns of CSV files stay text, so that nothing is guessed.

    Raises:
        DataError: a file is missing or unreadable as its format; the message names the key to change.
    """
    paths = resolve(table, name)
    kind = table.format or ("parquet" if paths[0].endswith((".parquet", ".pq")) else "csv")
    try:
        if kind == "parquet":
            return connection.read_parquet(paths, union_by_name=len(paths) > 1)
        return connection.read_csv(paths, **_csv_options(table, len(paths) > 1))
    except _UNREADABLE as error:
        raise DataError(
            f"dataset.{name}.path: {', '.join(paths)} cannot be read as {kind} ({_first_line(error)}); "
            f"check the file, dataset.{name}.format and dataset.{name}.separator"
        ) from error


def fetch(expression: ir.Table, name: str) -> pa.Table:
    """Run an expression over the raw table ``name``.

    Raises:
        DataError: the engine stumbled over a file that it had not read to the end before.
    """
    try:
        return expression.to_pyarrow()
    except _UNREADABLE as error:
        raise DataError(
            f"dataset.{name}: reading failed: {' '.join(str(error).split())[:400]}; correct the file, or "
            f"dataset.{name}.separator and dataset.{name}.header"
        ) from error


def resolve(table: Table, name: str) -> list[str]:
    """The files of a table, globs expanded, in a fixed order.

    Raises:
        DataError: nothing is there, or the path is not a local one.
    """
    wanted = [table.path] if isinstance(table.path, str) else list(table.path)
    found: list[str] = []
    for path in wanted:
        if "://" in path:
            raise DataError(f"dataset.{name}.path: {path} is not a local file; copy or mount it first")
        if glob.has_magic(path) and not Path(path).exists():
            matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - patterns may be absolute
        else:
            matches = [path] if Path(path).is_file() else []
        if not matches:
            near = difflib.get_close_matches(Path(path).name, _siblings(path), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DataError(f"dataset.{name}.path: no file at {path}{hint}")
        found += matches
    if not found:
        raise DataError(f"dataset.{name}.path: empty; name a file, a glob or a list of these")
    return found


def column(table: ir.Table, raw: str, name: str, key: str) -> ir.Value:
    """A raw column by name.

    Raises:
        DataError: it is not there; the message lists what is and names the key to change.
    """
    if raw in table.columns:
        return table[raw]
    near = difflib.get_close_matches(raw, table.columns, n=1, cutoff=0.5)
    hint = f", perhaps {near[0]!r}" if near else ""
    raise DataError(
        f"dataset.{name}: no column {raw!r}; the file has {_listed(table.columns)}; "
        f"set dataset.{name}.{key} to one of these{hint}"
    )


def _csv_options(table: Table, several: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "all_varchar": True,
        "delim": table.separator,
        "header": table.header is None,
        "quote": '"',
        "escape": '"',
        "comment": "",
        "skip": 0,
        "union_by_name": several,
    }
    if table.header is not None:
        options["names"] = list(table.header)
    return options


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _siblings(path: str) -> list[str]:
    folder = Path(path).parent
    return [p.name for p in folder.iterdir()] if folder.is_dir() else []


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
