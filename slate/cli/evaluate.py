"""``slate evaluate``: measure a release again."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slate.cli.parameters import download_cache


def evaluate(
    release: Annotated[
        str, typer.Argument(help="A channel, a release id or its beginning, or a folder.")
    ] = "stable",
    endpoint: Annotated[
        str | None, typer.Option(help="Ask a running server instead, for example http://localhost:8080.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Measure on this data set's interactions after the release's watermark instead."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value over --config or the release's own.")
    ] = None,
    store: Annotated[str, typer.Option(help="A directory or gs://bucket/prefix.")] = ".slate",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a release on the holdout it ships, or on newer data; offline or through a server."""
    from slate.cli.evaluation_table import evaluation_table
    from slate.cli.fairness_table import fairness_tables
    from slate.steps.evaluate_release import evaluate_release

    with tempfile.TemporaryDirectory() as scratch:
        evaluation = evaluate_release(
            release,
            store=store,
            endpoint=endpoint,
            config=config,
            overrides=overrides or [],
            scratch=Path(scratch),
            cache=download_cache(),
        )
    if as_json:
        typer.echo(json.dumps(json.loads(evaluation.record.to_json())))
        return
    console = Console()
    console.print(evaluation_table(evaluation.record))
    for name, reason in evaluation.record.skipped.items():
        console.print(f"{name} was left out: {reason}")
    for table in fairness_tables(evaluation.record):
        console.print(table)
