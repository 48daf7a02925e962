"""``slate serve``: the model server on this machine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from slate.errors import ConfigError


def serve(
    release: Annotated[
        str | None,
        typer.Argument(help="A release folder, id or gs:// address, for good; else the channel is followed."),
    ] = None,
    store: Annotated[str, typer.Option(help="A directory or gs://bucket/prefix.")] = ".slate",
    channel: Annotated[str, typer.Option(help="stable, candidate or shadow.")] = "stable",
    variant: Annotated[
        str | None, typer.Option(help="What answers are called; the channel by default.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML configuration; its section serving.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="serving.key=value.")] = None,
    http_port: Annotated[int | None, typer.Option(min=1, max=65_535, help="8080 by default.")] = None,
    grpc_port: Annotated[int | None, typer.Option(min=1, max=65_535, help="8081 by default.")] = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Where remote releases are kept.")] = None,
    log_file: Annotated[Path | None, typer.Option(help="Takes the log, instead of stderr; rotated.")] = None,
    openapi: Annotated[
        bool, typer.Option("--openapi", help="Print the OpenAPI document of the server, and end.")
    ] = False,
) -> None:
    """Answer over KServe's protocols: V1, V2 and gRPC, models `recommender` and `ranker`.

    A channel is followed: what it names next is loaded beside the release that answers, checked, and takes
    over between two requests. Ends on Ctrl-C or SIGTERM, after what was asked is answered; told twice, it
    ends at once.
    """
    try:
        from serving.openapi import document
        from serving.run import VARIANTS
        from serving.run import serve as run
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"slate serve needs {error.name}; install slate-recommender with the extra [serve]"
        ) from error
    from slate.cli.parameters import chosen_config

    if channel not in VARIANTS or (variant is not None and variant not in VARIANTS):
        raise ConfigError(f"--channel {channel}, --variant {variant}: known are {', '.join(VARIANTS)}")
    given = {"http_port": http_port, "grpc_port": grpc_port, "log_file": log_file}
    told = [f"serving.{name}={value}" for name, value in given.items() if value is not None]
    chosen = chosen_config(config, [*(overrides or ()), *told])
    section = chosen.serving
    if openapi:
        typer.echo(json.dumps(document(section), indent=1))
        return
    typer.echo(f"serving {release or f'{channel} of {store}'} on port {section.http_port}", err=True)
    run(
        section,
        release=release,
        store=store,
        channel=channel,
        variant=variant or channel,
        cache_dir=cache_dir,
        feedback=chosen.feedback,
    )
