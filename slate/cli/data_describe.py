"""``slate data describe``: what is in a data set, before or after there is a configuration for it."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.parameters import chosen_config, download_cache
from slate.errors import ConfigError

if TYPE_CHECKING:
    from slate.config import DatasetConfig
    from slate.data.findings import Finding
    from slate.data.profile.prepared import Profile
    from slate.data.profile.raw import FileProfile


def describe(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Raw CSV or Parquet files; no configuration is needed.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Describe the data set of this YAML; MovieLens-100K by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with plots here (needs a data set).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explore raw files, or the data set that a configuration describes."""
    if files:
        if config or html:
            raise ConfigError("files: are described as they are; use --config and --html without them")
        _raw(files, as_json)
    else:
        _prepared(chosen_config(config, overrides).dataset, html, as_json)


def _raw(files: list[Path], as_json: bool) -> None:
    from slate.data.profile.raw import look

    profiles = [look(file) for file in files]
    if as_json:
        typer.echo(json.dumps([_file(p) for p in profiles], ensure_ascii=False))
        return
    console = Console()
    for profile in profiles:
        _print_file(profile, console)
    typer.echo("a configuration from these: slate data init " + " ".join(str(f) for f in files))


def _file(profile: "FileProfile") -> dict[str, Any]:
    return {
        "path": profile.path,
        "rows": profile.rows,
        "separator": profile.table.separator,
        "columns": [{**asdict(column), "odd": column.odd} for column in profile.columns],
    }


def _print_file(profile: "FileProfile", console: Console) -> None:
    from slate.data.profile.guess import feature, roles

    found = {guess.column: guess for guess in roles(profile, {}).values()}
    title = f"{Path(profile.path).name}: {profile.rows:,} rows, {len(profile.columns)} columns"
    table = Table(title=escape(title), box=None, pad_edge=False, title_justify="left")
    for heading in ("column", "seems to be"):
        table.add_column(heading, no_wrap=True)
    for heading in ("missing", "distinct"):
        table.add_column(heading, justify="right")
    table.add_column("values")
    table.add_column("look at")
    for column in profile.columns:
        guess, kind = found.get(column.name), feature(column)
        word = guess.role + ("" if guess.sure else "?") if guess else (kind.kind if kind else "")
        if guess and guess.unit:
            word += f" in {guess.unit}"
        if column.low is not None and column.high is not None and column.numbers > 0.9 * column.present:
            values = f"{column.low:g} to {column.high:g}"
        else:
            values = ", ".join(_short(value) for value, _ in column.top[:3])
        table.add_row(
            escape(column.name), word, f"{sum(column.missing.values()) + _absent(column):,}",
            f"{column.distinct:,}", escape(values), f"[yellow]{escape(column.odd)}[/]",
        )  # fmt: skip
    console.print(table)


def _absent(column: Any) -> int:
    """Rows without a value that no spelling explains."""
    return int(column.rows - column.present - sum(column.missing.values()))


def _short(value: str) -> str:
    return value if len(value) <= 24 else value[:23] + "…"


def _prepared(dataset: "DatasetConfig", html: Path | None, as_json: bool) -> None:
    import pyarrow.parquet as pq

    from slate import columns
    from slate.clock import SystemClock
    from slate.data.checks import Facts
    from slate.data.ingest import ingest
    from slate.data.profile.prepared import profile
    from slate.data.validation import examine

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        record = ingest(dataset, folder, download_cache())
        tables = {
            "interactions": pq.read_table(folder / columns.INTERACTIONS_FILE),
            "items": pq.read_table(folder / columns.ITEMS_FILE),
            "users": pq.read_table(folder / columns.USERS_FILE),
        }
    checked = examine(tables, Facts(dataset, SystemClock().now(), record))  # type: ignore[arg-type]
    left = dict(zip(("interactions", "items", "users"), checked.prepared, strict=True))
    found = profile(dataset.name, record, left)
    if html is not None:
        from slate.data.profile.report import render

        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(render(found, checked.findings), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(_machine(found, checked.findings), ensure_ascii=False, default=str))
        return
    _print(found, checked.findings, Console())
    if html is not None:
        typer.echo(f"report {html}")


def _machine(found: "Profile", findings: tuple["Finding", ...]) -> dict[str, Any]:
    def tail(side: Any) -> dict[str, Any]:
        return {name: getattr(side, name) for name in ("quantiles", "top_1", "top_10", "gini")}

    return {
        "name": found.name,
        "rows": found.record["rows"],
        "density": found.density,
        "statistics": found.statistics,
        "users": tail(found.users),
        "items": tail(found.items),
        "lifetime_hours": found.lifetimes,
        "cold": found.cold,
        "correlations": [asdict(c) for c in found.correlations],
        "findings": [asdict(f) for f in findings],
    }


def _print(found: "Profile", findings: tuple["Finding", ...], console: Console) -> None:
    from slate.data.profile.report import facts, features

    console.print(f"[bold]{escape(found.name)}[/]")
    for finding in findings:
        colour = "red" if finding.severity == "error" else "yellow"
        console.print(
            f"[{colour}]{finding.severity}[/] {escape(str(finding))}", highlight=False, soft_wrap=True
        )
    if not findings:
        console.print("[green]every check passed[/]")
    console.print(" · ".join(f"{name} {value}" for name, value in facts(found)), highlight=False)
    counts = found.statistics["interactions"]["events"]
    shown = [f"{event} {n:,} ({n / max(sum(counts.values()), 1):.0%})" for event, n in counts.items()]
    console.print("events: " + ", ".join(shown), highlight=False)
    for word, side in (("users", found.users), ("items", found.items)):
        console.print(
            f"{word}: the top 1% make {side.top_1:.0%}, the top 10% {side.top_10:.0%} of interactions; "
            f"Gini {side.gini:.2f}", highlight=False,
        )  # fmt: skip
    for name, share in found.cold.items():
        console.print(
            f"cold: {share:.1%} of {name}" if name.startswith("inter") else f"cold: {share:.1%} {name}",
            highlight=False,
        )
    table = Table(box=None, pad_edge=False)
    for heading in ("feature", "missing", "values", "with engagement"):
        table.add_column(heading)
    related = {c.subject: c for c in found.correlations}
    for feature in features(found):
        correlation = related.get(feature["name"])
        said = f"{correlation.measure} {correlation.value:+.3f}" if correlation else "–"
        most = ", ".join(f"{label} {share:.0%}" for label, share, _ in feature["bars"][:4])
        table.add_row(escape(feature["name"]), f"{feature['missing']:.1%}", escape(most), said)
    console.print(table)
