"""``slate data validate``: what the pipeline's first two steps would say."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.parameters import chosen_config, download_cache
from slate.errors import DataError


def validate(
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; MovieLens-100K by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read and check a data set without keeping anything; status 4 when a check stops it."""
    from slate import columns
    from slate.data.ingest import ingest
    from slate.data.validation import validate as check

    chosen = chosen_config(config, overrides).dataset
    refusal: DataError | None = None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ingest(chosen, folder / "raw", download_cache())
        try:
            check(chosen, folder / "raw", folder / "valid", html or folder / "report.html")
        except DataError as error:
            refusal = error
        written = json.loads((folder / "valid" / columns.FINDINGS_FILE).read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps(written, ensure_ascii=False))
    else:
        _print(written, chosen.name)
    if refusal is not None:
        errors = [f["name"] for f in written["findings"] if f["severity"] == "error"]
        raise DataError(
            f"dataset {chosen.name}: refused by {', '.join(errors)}"
            + (f"; the report is {html}" if html else "; --html FILE writes the report")
        )
    if strict and written["findings"]:
        raise DataError(f"dataset {chosen.name}: {len(written['findings'])} warnings, and --strict was asked")


def _print(written: dict[str, Any], name: str) -> None:
    console = Console()
    for side, rows in written["rows"].items():
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in rows["dropped"].items()) or "none"
        console.print(
            f"{side}: {rows['in']:,} rows in, {rows['out']:,} out; dropped: {dropped}", highlight=False
        )
    if not written["findings"]:
        console.print(f"{escape(name)}: all {len(written['checked'])} checks passed")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("", "check", "table"):
        table.add_column(heading, no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("what, and what to do")
    for finding in sorted(written["findings"], key=lambda f: f["severity"]):
        colour = "red" if finding["severity"] == "error" else "yellow"
        said = f"{finding['what']}; {finding['fix']}"
        if finding["samples"]:
            shown = ", ".join(f"{k}={v}" for k, v in finding["samples"][0].items() if v is not None)
            said += f"\n[dim]{escape(shown)}[/dim]"
        table.add_row(
            f"[{colour}]{finding['severity']}[/]",
            finding["name"],
            finding["table"],
            f"{finding['count']:,}",
            said,
        )
    console.print(table)
