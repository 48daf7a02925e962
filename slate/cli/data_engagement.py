"""``slate data engagement``: the metric that events are weighted for, by period and slice."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.parameters import chosen_config, download_cache
from slate.data.period import Period
from slate.errors import DataError


def engagement(
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; MovieLens-100K by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    by: Annotated[Period, typer.Option(help="day, week, month or all.")] = "day",
    slices: Annotated[
        str | None, typer.Option("--slice", help="An attribute of users, items or context.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Weighted events over the users active: by day, week or month, and by slice."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    from slate import columns
    from slate.data.engagement import over
    from slate.data.ingest import ingest

    chosen = chosen_config(config, overrides).dataset
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ingest(chosen, folder, download_cache())
        interactions, items, users = (
            pq.read_table(folder / name)
            for name in (columns.INTERACTIONS_FILE, columns.ITEMS_FILE, columns.USERS_FILE)
        )
    entities = next((t for t in (users, items) if slices in t.column_names), None)
    if slices is not None and entities is None and slices not in interactions.column_names:
        known = {*items.column_names, *users.column_names, *interactions.column_names}
        reserved = {*columns.INTERACTION_COLUMNS, columns.TITLE}
        raise DataError(
            f"--slice {slices}: no such attribute; there are {', '.join(sorted(known - reserved)) or 'none'}"
        )
    measured = over(interactions, by, entities, slices)
    if as_json:
        typer.echo(json.dumps(measured.to_pylist(), default=str))
    elif as_csv:
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(measured, sink)
        typer.echo(sink.getvalue().to_pybytes().decode(), nl=False)
    else:
        _print(measured.to_pylist(), chosen.name, by)


def _print(rows: list[dict[str, object]], name: str, by: str) -> None:
    table = Table(title=f"engagement per active user, {escape(name)}", box=None, pad_edge=False)
    table.add_column("all" if by == "all" else f"{by} from")
    table.add_column("slice")
    for heading in ("active users", "positive", "negative", "engagement"):
        table.add_column(heading, justify="right")
    table.add_column("")
    largest = max((abs(float(str(row["engagement"]))) for row in rows), default=0.0) or 1.0
    for row in rows:
        value = float(str(row["engagement"]))
        bar = "█" * round(20 * abs(value) / largest)
        table.add_row(
            str(row["period"]), escape(str(row["slice"])), f"{row['active_users']:,}",
            f"{row['positive']:,.1f}", f"{row['negative']:,.1f}", f"{value:.3f}",
            f"[{'red' if value < 0 else 'green'}]{bar}[/]",
        )  # fmt: skip
    Console().print(table)
