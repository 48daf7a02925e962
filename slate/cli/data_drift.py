"""``slate data drift``: this snapshot against what a release was trained on."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.parameters import chosen_config, download_cache, store_uri

if TYPE_CHECKING:
    from slate.steps.drift import DriftRun


def drift(
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; MovieLens-100K by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="A directory or gs://bucket/prefix.")] = None,
    against: Annotated[str, typer.Option(help="A channel or a release id.")] = "stable",
    html: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the data with a release's, and that release with those before it; status 4 on an error."""
    from slate.data.drift.report import render
    from slate.data.validation import validate
    from slate.steps.drift import as_json as content
    from slate.steps.drift import check, measure
    from slate.steps.ingest import ingest

    chosen = chosen_config(config, overrides)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ingest(chosen.section("dataset"), folder / "raw", download_cache())
        validate(chosen.dataset, folder / "raw", folder / "dataset", folder / "validation.html")
        found = measure(chosen.drift, store_uri(store, chosen), against, folder / "dataset")
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(render(chosen.dataset.name, found.comparisons, found.notes), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(content(found), ensure_ascii=False))
    else:
        _print(found, Console())
    if found.newest:
        check(found.newest, chosen.dataset.name, str(html) if html else "made with --html")


def _print(found: "DriftRun", console: Console) -> None:
    from slate.data.drift.report import shown

    for note in found.notes:
        console.print(escape(note))
    if not found.comparisons:
        return
    newest = found.comparisons[0]
    table = Table(title=f"{newest.release} against {newest.parent}", box=None, pad_edge=False)
    for heading in ("figure", "of"):
        table.add_column(heading)
    older = [
        {(f.name, f.subject): f for f in comparison.drift.figures} for comparison in found.comparisons[:0:-1]
    ]
    for comparison in found.comparisons[:0:-1]:
        table.add_column(comparison.release[:13], justify="right", style="dim")
    for heading in ("value", "limit"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for figure in newest.drift.figures:
        word = "" if figure.passed else figure.severity
        colour = "red" if word == "error" else "yellow"
        table.add_row(
            figure.name,
            escape(figure.subject),
            *(shown(column.get((figure.name, figure.subject))) for column in older),
            shown(figure),
            f"{figure.threshold:g}",
            f"[{colour}]{word}[/] {escape(figure.note)}" if word else escape(figure.note),
        )
    console.print(table)
