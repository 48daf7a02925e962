"""``slate compile``: the YAML that Kubeflow Pipelines takes."""

from pathlib import Path
from typing import Annotated

import typer


def compile_pipeline(
    pipeline: Annotated[str, typer.Option(help="Which pipeline to compile.")] = "training",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output by default.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(envvar="SLATE_PIPELINE_IMAGE", help="The pipeline image, NAME@sha256:DIGEST."),
    ] = None,
) -> None:
    """Compile a pipeline to YAML. Without --image it holds a placeholder that no cluster can pull."""
    from pipelines.compile import compiled

    text = compiled(pipeline, image)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {output}", err=True)
    if image is None:
        typer.echo("no --image: the placeholder stays, which cannot be pulled", err=True)
