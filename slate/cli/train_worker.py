"""``slate train-worker``: one of the processes that train a model together."""

import json
import os
from typing import Annotated

import typer


def train_worker(
    at: Annotated[str, typer.Option(help="Where the work lies: a directory or gs://bucket/prefix.")],
) -> None:
    """Do this worker's part of a training job: what a TFJob's pods run.

    TF_CONFIG names the workers, and which of them this is; the first leaves the result beside the work.
    Without it this process trains alone.
    """
    from slate.steps.workers.worker import work

    metrics = work(at, os.environ.get("TF_CONFIG"))
    if metrics:
        typer.echo(json.dumps(metrics))
