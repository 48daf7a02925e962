"""The preparation engine: Ibis expressions, run by DuckDB."""

import difflib
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from slate.config import Table
from slate.errors import DataError


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
            return connection.read_parquet(paths)
        return connection.read_csv(paths, all_varchar=True, header=True, delim=table.separator)
    except Exception as error:
        # Every engine has errors of its own; all of them mean that this file cannot be read.
        reason = str(error).splitlines()[0]
        raise DataError(
            f"dataset.{name}.path: {', '.join(paths)} cannot be read as {kind} ({reason}); "
            f"check the file, dataset.{name}.format and dataset.{name}.separator"
        ) from error


def resolve(table: Table, name: str) -> list[str]:
    """The files of a table, globs expanded, in a fixed order.

    Raises:
        DataError: nothing is there.
    """
    wanted = [table.path] if isinstance(table.path, str) else list(table.path)
    found: list[str] = []
    for path in wanted:
        if "://" in path:
            found.append(path)
            continue
        matches = sorted(glob.glob(path)) if glob.has_magic(path) else [path] * Path(path).is_file()  # noqa: PTH207
        if not matches:
            near = difflib.get_close_matches(Path(path).name, _siblings(path), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DataError(f"dataset.{name}.path: no file at {path}{hint}")
        found += matches
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


def _siblings(path: str) -> list[str]:
    folder = Path(path).parent
    return [p.name for p in folder.iterdir()] if folder.is_dir() else []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return shown + (", ..." if len(names) > 20 else "")
