"""``slate submit`` and ``slate schedule``: a pipeline on Kubeflow Pipelines."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from slate.cli.batch import BATCH, batch_arguments
from slate.cli.parameters import (
    STABLE,
    arguments,
    champion_of,
    chosen_config,
    download_cache,
    new_run_id,
    own_arguments,
    store_uri,
    tracked,
)
from slate.config import SlateConfig
from slate.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.submit import Submission

Host = Annotated[
    str, typer.Option(help="Address of the Kubeflow Pipelines API.", envvar="KF_PIPELINES_ENDPOINT")
]
Config = Annotated[Path | None, typer.Option(help="A YAML configuration; MovieLens-100K by default.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
Store = Annotated[str | None, typer.Option(help="Where releases go: gs://bucket/prefix.")]
Image = Annotated[
    str | None, typer.Option(help="The pipeline image, NAME@sha256:DIGEST.", envvar="SLATE_PIPELINE_IMAGE")
]
Pipeline = Annotated[str, typer.Option(help="Which pipeline.")]
Experiment = Annotated[str, typer.Option(help="The experiment that groups the runs.")]
Namespace = Annotated[str | None, typer.Option(help="Your profile, on a server with several users.")]
ServiceAccount = Annotated[str | None, typer.Option(help="The Kubernetes service account of the steps.")]
Root = Annotated[str | None, typer.Option(help="Where Kubeflow keeps artefacts, e.g. gs://bucket/kfp.")]
Checkpoints = Annotated[str, typer.Option(help="Where training keeps checkpoints, e.g. gs://bucket/ckpt.")]
TokenEnv = Annotated[str | None, typer.Option(help="The environment variable that holds a bearer token.")]
Rollout = Annotated[bool, typer.Option("--rollout", help="Start a rollout of what is pushed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_CLUSTER_CACHE = "cache"


def submit(
    host: Host,
    config: Config = None,
    overrides: Overrides = None,
    store: Store = None,
    image: Image = None,
    pipeline: Pipeline = "training",
    experiment: Experiment = "slate",
    namespace: Namespace = None,
    service_account: ServiceAccount = None,
    pipeline_root: Root = None,
    checkpoints: Checkpoints = "",
    token_env: TokenEnv = None,
    rollout: Rollout = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every step, reuse none.")] = False,
    data_fingerprint: Annotated[
        str | None,
        typer.Option(help="What identifies the data, where only the cluster can read its files."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Upload the pipeline, or a new version of it, and start a run on a cluster."""
    chosen = _clustered(chosen_config(config, overrides))
    place = remote_store(store, chosen)
    from pipelines.fingerprint import code_fingerprint
    from pipelines.submit import Cluster
    from slate.data.ingest import source_fingerprint

    package = _package(pipeline, image, caching=not no_cache)
    run_id = new_run_id()
    champion = champion_of(place)
    parameters = (
        batch_arguments(chosen, store=place, run_id=run_id, partition=None, shared=True)
        if pipeline == BATCH
        else arguments(
            chosen,
            store=place,
            champion=champion,
            data_fingerprint=data_fingerprint or source_fingerprint(chosen.dataset, download_cache()),
            code_fingerprint=code_fingerprint(),
            run_id=run_id,
            checkpoints=checkpoints,
            cache=_CLUSTER_CACHE,
            rollout_requested=rollout,
            more=own_arguments(pipeline, chosen, place, champion),
        )
    )
    made = Cluster(host, namespace, _token(token_env)).start(
        pipeline,
        package,
        parameters,
        job=f"{pipeline} {run_id}",
        experiment=experiment,
        service_account=service_account,
        pipeline_root=pipeline_root,
    )
    _print(made, {"slate_run_id": run_id}, "run", as_json)


def schedule(
    host: Host,
    cron: Annotated[str, typer.Option(help="When, e.g. '0 3 * * *'; in the server's time zone.")],
    name: Annotated[str | None, typer.Option(help="The schedule's name; the pipeline's by default.")] = None,
    config: Config = None,
    overrides: Overrides = None,
    store: Store = None,
    image: Image = None,
    pipeline: Pipeline = "training",
    experiment: Experiment = "slate",
    namespace: Namespace = None,
    service_account: ServiceAccount = None,
    pipeline_root: Root = None,
    checkpoints: Checkpoints = "",
    token_env: TokenEnv = None,
    rollout: Rollout = False,
    as_json: Json = False,
) -> None:
    """Run the pipeline on a cluster again and again, on the data of that day, against the live release."""
    chosen = _clustered(chosen_config(config, overrides))
    place = remote_store(store, chosen)
    from pipelines.cron import six_fields
    from pipelines.fingerprint import code_fingerprint
    from pipelines.submit import Cluster

    cron = six_fields(cron)
    # Its parameters stay the same while data and champion change: nothing may be reused, the champion
    # is whatever `stable` names when the evaluation runs, and the record takes the name of its own job.
    package = _package(pipeline, image, caching=False)
    parameters = (
        batch_arguments(chosen, store=place, run_id="", partition=None, shared=True)
        if pipeline == BATCH
        else arguments(
            chosen,
            store=place,
            champion=STABLE,
            data_fingerprint="scheduled",
            code_fingerprint=code_fingerprint(),
            run_id="",
            checkpoints=checkpoints,
            cache=_CLUSTER_CACHE,
            rollout_requested=rollout,
            more=own_arguments(pipeline, chosen, place, STABLE),
        )
    )
    made = Cluster(host, namespace, _token(token_env)).schedule(
        pipeline,
        package,
        parameters,
        job=name or pipeline,
        experiment=experiment,
        cron=cron,
        service_account=service_account,
        pipeline_root=pipeline_root,
    )
    _print(made, {"cron": cron}, "schedule", as_json)


def _clustered(config: SlateConfig) -> SlateConfig:
    """The configuration as it travels: no database of this machine can record what runs elsewhere."""
    from slate.tracking.settings import address, database

    uri = config.tracking.uri
    if uri and database(uri) is not None:
        raise ConfigError(
            f"tracking.uri {uri}: a cluster cannot see this file; "
            "name a server, or set tracking.enabled=false"
        )
    chosen = tracked(config, None)
    if chosen.tracking.enabled and address(chosen.tracking) is None:
        Console(stderr=True).print(
            "no tracking server is named: runs are recorded only where the steps' own environment has "
            "MLFLOW_TRACKING_URI; set tracking.uri to change that"
        )
    return chosen


def remote_store(option: str | None, config: SlateConfig) -> str:
    """The store's address, if a cluster can reach it.

    Raises:
        ConfigError: it is a directory of this machine.
    """
    place = store_uri(option, config)
    if "://" not in place:
        raise ConfigError(
            f"store {place}: a cluster cannot see this directory; use --store gs://bucket/prefix"
        )
    return place


def _package(pipeline: str, image: str | None, *, caching: bool) -> str:
    from pipelines.compile import compiled

    if image is None:
        raise ConfigError(
            "image: none named, and the placeholder cannot be pulled; "
            "give --image NAME@sha256:DIGEST or set SLATE_PIPELINE_IMAGE"
        )
    return compiled(pipeline, image, caching=caching)


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    token = os.environ.get(variable)
    if not token:
        raise ConfigError(
            f"--token-env {variable}: this environment variable is empty; export the token in it"
        )
    return token


def _print(made: "Submission", extra: dict[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**asdict(made), **extra}))
        return
    typer.echo(f"{what} {made.run_id} of version {made.version}")
    typer.echo(made.url)
