"""``slate monitor``: live traffic against the releases that served it."""

import json
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.clock import SystemClock
from slate.errors import ConfigError, DataError, SlateError

if TYPE_CHECKING:
    from slate.config import SlateConfig
    from slate.monitoring.exporter import Exporter
    from slate.monitoring.record import Record
    from slate.steps.monitor import Monitored
    from slate.storage import ObjectStore

_HISTORY_DAYS: Final = 28
_SHOWN: Final = 5


def monitor(
    day: Annotated[str | None, typer.Option(help="A day (UTC), 2026-11-20; yesterday by default.")] = None,
    since: Annotated[str | None, typer.Option(help="Every day from this one to yesterday.")] = None,
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; its sections monitoring and feedback.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Measure the last 24 hours again and again, for Prometheus.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of --watch: where /metrics is.")] = 8083,
    every: Annotated[float, typer.Option(min=1, help="Of --watch: seconds between measurements.")] = 900,
) -> None:
    """Compare a day of the log with the releases that served it: drift, calibration, quality of serving.

    Records go to the store: for the report's history, and for 'slate run --pipeline incremental --if-due'.
    Exit status: 4 where a figure with severity 'error' is beyond its limit.
    """
    from slate.cli.parameters import chosen_config, store_uri
    from slate.monitoring.record import history
    from slate.monitoring.report import render
    from slate.steps.monitor import monitor as measure
    from slate.storage import open_store

    chosen = chosen_config(config, overrides)
    opened = open_store(store_uri(store, chosen))
    if watch:
        if day or since:
            raise ConfigError("--watch: measures the last 24 hours; leave --day and --since out")
        _watch(chosen, opened, port, every)
        return
    now = SystemClock().now()
    days = _days(day, since, now)
    found = {each: measure(chosen, opened, each, now, keep=True) for each in days}
    if html is not None:
        earlier = history(opened, days[-1], max(_HISTORY_DAYS, len(days)))
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(
            render(chosen.dataset.name, days[-1], found[days[-1]].records, earlier, found[days[-1]].notes),
            encoding="utf-8",
        )
    if as_json:
        typer.echo(json.dumps([_as_json(each, one) for each, one in found.items()], ensure_ascii=False))
    else:
        _print(found, Console())
    _check(found, html)


def _days(day: str | None, since: str | None, now: datetime) -> list[date]:
    yesterday = now.date() - timedelta(days=1)
    if day is not None and since is not None:
        raise ConfigError("--day and --since: give one of them")
    first = _date("--since", since) if since else _date("--day", day) if day else yesterday
    last = yesterday if since else first
    if first > min(last, now.date()):
        raise ConfigError(f"{first}: is not over yet; the last whole day is {yesterday}")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _date(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text}: is no day; write it like 2026-11-20") from error


def _as_json(day: date, found: "Monitored") -> dict[str, object]:
    return {
        "day": day.isoformat(),
        "records": [record.to_dict() for record in found.records],
        "notes": list(found.notes),
    }


def _print(found: "dict[date, Monitored]", console: Console) -> None:
    for day, each in found.items():
        for note in each.notes:
            console.print(escape(note), soft_wrap=True)
        if not each.records and not each.notes:
            console.print(f"{day}: no slates in the log", highlight=False)
        for record in each.records:
            _print_record(record, console)


def _print_record(record: "Record", console: Console) -> None:
    from slate.monitoring.report import number

    measured = record.measured
    table = Table(
        title=f"{record.day} · {record.release_id} · {measured.slates:,} slates to {measured.users:,} users",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for heading in ("figure", "of"):
        table.add_column(heading)
    for heading in ("value", "limit"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for figure in measured.figures:
        word = "" if figure.passed else figure.severity
        colour = "red" if word == "error" else "yellow"
        note = escape(figure.note)
        table.add_row(
            figure.name,
            escape(figure.subject),
            number(figure.value),
            number(figure.threshold),
            f"[{colour}]{word}[/] {note}" if word else note,
        )
    console.print(table)
    for quality in measured.quality:
        rungs = ", ".join(f"{rung} {count:,}" for rung, count in quality.rungs.items())
        times = "" if quality.p50 is None else f"; {quality.p50:.0f} ms median, {quality.p99:.0f} ms p99"
        console.print(f"{quality.variant}: {rungs}; {quality.empty:,} empty{times}", highlight=False)
    if measured.calibration is not None and measured.calibration.ratio is not None:
        console.print(f"engagement that came over expected: {measured.calibration.ratio:.3f}")
    for note in measured.notes:
        console.print(f"[dim]{escape(note)}[/]", soft_wrap=True)


def _check(found: "dict[date, Monitored]", html: Path | None) -> None:
    errors = [
        f"{record.day} {record.release_id}: {figure}"
        for each in found.values()
        for record in each.records
        for figure in record.errors
    ]
    if errors:
        shown = "; ".join(errors[:_SHOWN])
        raise DataError(
            f"monitoring: {len(errors)} figures beyond their limits: {shown}. "
            f"The report is {html or 'made with --html'}; limits are in the section monitoring"
        )


def _watch(config: "SlateConfig", store: "ObjectStore", port: int, every: float) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    from slate.monitoring.exporter import Exporter

    registry = CollectorRegistry()
    exporter = Exporter(registry)
    server, _ = start_http_server(port, registry=registry)
    typer.echo(f"/metrics of {store.uri} on port {server.server_port}, every {every:g} s", err=True)
    kept: date | None = None
    while True:
        try:
            _show(exporter, config, store)
            kept = _keep(config, store, kept)
        except SlateError as error:
            # The gauge of the last success stops, and an alert says so.
            Console(stderr=True, soft_wrap=True).print(f"[yellow]warning:[/yellow] {escape(str(error))}")
        time.sleep(every)


def _keep(config: "SlateConfig", store: "ObjectStore", kept: date | None) -> date:
    """Once a day, the records of the last two days: of the last but one, all outcomes have come by then."""
    from slate.steps.monitor import monitor as measure

    now = SystemClock().now()
    if kept != now.date():
        for back in (2, 1):
            measure(config, store, now.date() - timedelta(days=back), now, keep=True)
    return now.date()


def _show(exporter: "Exporter", config: "SlateConfig", store: "ObjectStore") -> None:
    from slate.release.channels import STABLE, read_channel
    from slate.release.verify import read_manifest
    from slate.steps.monitor import monitor_last

    now = SystemClock().now()
    channel = read_channel(store, STABLE)
    if channel is not None:
        manifest = read_manifest(store, channel.release_id)
        exporter.stable(
            datetime.fromisoformat(manifest.created_at),
            datetime.fromisoformat(manifest.dataset.watermark),
            now,
        )
    exporter.show(monitor_last(config, store, now).records, now)
