"""``slate metrics``: what users make of what they are shown."""

import json
import tempfile
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.errors import DataError

if TYPE_CHECKING:
    from slate.config import SlateConfig
    from slate.feedback.metrics.differences import Compared, Difference
    from slate.feedback.metrics.engagement import Engagement

_DAY_SECONDS = 86_400


def metrics(
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; its section dataset weighs the events.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day, in UTC; the log's by default."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The last day; the last whole one by default."),
    ] = None,
    by: Annotated[
        Literal["day", "all", "variant"],
        typer.Option(help="day, all, or variant: the whole period, and how far the variants lie apart."),
    ] = "day",
    attribute: Annotated[str | None, typer.Option("--slice", help="An attribute of users or items.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write an HTML page here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Engagement per active user and how many come back, by variant, day and slice, from the log.

    Only what a slate led to counts; organic events do not.
    """
    from slate.cli.parameters import chosen_config, store_uri
    from slate.feedback.metrics.differences import compared
    from slate.feedback.metrics.engagement import measure
    from slate.feedback.metrics.log import read_rows
    from slate.feedback.metrics.report import render
    from slate.storage import open_store

    chosen = chosen_config(config, overrides)
    opened = open_store(store_uri(store, chosen))
    first, last = _period(opened, since, until)
    late = -(-int(chosen.feedback.max_age_s) // _DAY_SECONDS)
    rows = read_rows(opened, chosen.dataset.events, first, last, late)
    entities = None if attribute is None else _entities(chosen, attribute)
    period: Literal["day", "all"] = "day" if by == "day" else "all"
    found = measure(rows, last, period, entities, attribute)
    apart = compared(found) if by == "variant" else []
    if out is not None:
        whole = found if period == "all" else measure(rows, last, "all", entities, attribute)
        days = found if period == "day" else measure(rows, last, "day", entities, attribute)
        out.write_text(render(chosen.dataset.name, first, last, whole, days), encoding="utf-8")
    if as_json:
        told: Any = [asdict(each) for each in found]
        if by == "variant":
            told = {"variants": told, "differences": [asdict(each) for each in apart]}
        typer.echo(json.dumps(told, default=str))
    else:
        _print(found, f"engagement of {chosen.dataset.name}, {first} to {last}")
        _print_differences(apart)
    if out is not None:
        typer.echo(f"wrote {out}", err=True)


def _period(store: Any, since: datetime | None, until: datetime | None) -> tuple[date, date]:
    """The days to measure: those named, else the log's up to the last whole one."""
    from datetime import timedelta

    from slate.clock import SystemClock
    from slate.feedback.metrics.log import days_of

    known = days_of(store)
    if known is None:
        raise DataError(
            "the store has no outcomes and no exposures; serve with it, and let `slate events consume` run"
        )
    yesterday = SystemClock().now().date() - timedelta(days=1)
    first = known[0] if since is None else since.date()
    last = max(min(known[1], yesterday), known[0]) if until is None else until.date()
    if first > last:
        raise DataError(f"--since {first} --until {last}: no day lies between; name an earlier first day")
    return first, last


def _entities(config: "SlateConfig", attribute: str) -> Any:
    """The prepared users or items, whichever has the attribute."""
    import pyarrow.parquet as pq

    from slate import columns
    from slate.cli.parameters import download_cache
    from slate.data.ingest import ingest

    with tempfile.TemporaryDirectory() as scratch:
        ingest(config.dataset, Path(scratch), download_cache())
        tables = [pq.read_table(Path(scratch) / name) for name in (columns.USERS_FILE, columns.ITEMS_FILE)]
    for table in tables:
        if attribute in table.column_names:
            return table
    known = {name for table in tables for name in table.column_names}
    known -= {columns.USER, columns.ITEM, columns.TITLE}
    raise DataError(f"--slice {attribute}: no such attribute; there are {', '.join(sorted(known)) or 'none'}")


def _print(found: "list[Engagement]", title: str) -> None:
    from slate.data.engagement import ALL
    from slate.feedback.metrics.report import shown

    sliced = any(each.slice != ALL for each in found)
    table = Table(title=escape(title), box=None, pad_edge=False)
    for heading in ("day", "variant", *(["slice"] if sliced else [])):
        table.add_column(heading, no_wrap=heading == "day")
    for heading in ("users", "engagement", "positive", "negative", "back 1 d", "7 d"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        table.add_row(
            "all" if each.day is None else str(each.day),
            escape(each.variant),
            *([escape(each.slice)] if sliced else []),
            f"{each.users:,}",
            f"{shown(each.engagement)[0]} [dim]{_half(each)}[/dim]",
            *(shown(part)[0] for part in (each.positive, each.negative)),
            *(shown(part, share=True)[0] for part in (each.return_1, each.return_7)),
        )
    Console().print(table)


def _print_differences(apart: "list[Compared]") -> None:
    from slate.data.engagement import ALL

    for each in apart:
        where = "" if each.slice == ALL else f" ({each.slice})"
        figures = {
            "engagement": _between(each.engagement),
            "positive": _between(each.positive),
            "negative": _between(each.negative),
            "back 1 d": _between(each.return_1, share=True),
            "7 d": _between(each.return_7, share=True),
        }
        told = ", ".join(f"{name} {figure}" for name, figure in figures.items() if figure)
        Console(soft_wrap=True, highlight=False).print(
            escape(f"{each.variant} less {each.first}{where}: {told}")
        )


def _between(each: "Difference", share: bool = False) -> str:
    """A difference with its 95% interval; nothing where there is none. Shares in percentage points."""
    if each.value is None:
        return ""
    scale, digits, unit = (100, 1, " points") if share else (1, 3, "")
    value = f"{scale * each.value:+.{digits}f}{unit}"
    if each.low is None or each.high is None:
        return value
    return f"{value} [{scale * each.low:+.{digits}f}, {scale * each.high:+.{digits}f}]"


def _half(each: "Engagement") -> str:
    """Half of the interval; nothing where there is none."""
    high, value = each.engagement.high, each.engagement.value
    return "" if high is None or value is None else f"± {high - value:.3f}"
