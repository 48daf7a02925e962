"""``slate run --pipeline batch``: slates of active users, computed ahead on this machine."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from slate.cli.parameters import new_run_id
from slate.config import SlateConfig

if TYPE_CHECKING:
    from pipelines.results import RunResult

BATCH: Final = "batch"
_LAST: Final = "finish_precompute"


def batch_arguments(
    config: SlateConfig, *, store: str, run_id: str, partition: str | None, shared: bool
) -> dict[str, Any]:
    """The parameters of the batch pipeline, as JSON types.

    Args:
        partition: ``i/n``, that part only; all of ``batch.partitions`` otherwise.
        shared: whether it runs where a file would not be seen by the servers.

    Raises:
        ConfigError: ``partition`` is none.
    """
    if partition is not None:
        from slate.recommend.precompute.partition import Partition

        parts = [str(Partition.parse(partition))]
    else:
        count = config.batch.partitions if shared else 1
        parts = [f"{index}/{count}" for index in range(count)]
    return {
        "batch": config.section("batch"),
        "feedback": config.section("feedback"),
        # What a run of this kind has to say is in its report: no model is made.
        "tracking": {**config.section("tracking"), "enabled": False},
        "store": store,
        "partitions": parts,
        "shared": shared,
        "run_id": run_id,
    }


def run_batch(
    config: SlateConfig, store: str, workdir: Path, partition: str | None, console: Console, *, as_json: bool
) -> None:
    """Run it here, and say what was done.

    Raises:
        StepError: a step failed, the error being its own.
    """
    from pipelines.batch import batch
    from pipelines.local import run_pipeline, step_names
    from pipelines.results import StepError, StepTraceback
    from slate.cli.progress import Progress

    run_id = new_run_id()
    arguments = batch_arguments(
        _absolute(config), store=store, run_id=run_id, partition=partition, shared=False
    )
    console.print(f"run {run_id} of batch, store {store}", highlight=False, soft_wrap=True)
    with Progress(step_names(batch), console) as progress:
        result = run_pipeline(
            batch, arguments, run_id=run_id, workdir=workdir, caching=False, listener=progress.event
        )
    written = result.artefact(_LAST, "report")
    report = shutil.copyfile(written, result.folder / "report.html") if written else None
    if as_json:
        typer.echo(json.dumps(_machine_readable(result, report), ensure_ascii=False))
    if result.failure:
        raise StepError(result.failure) from StepTraceback(result.failure.traceback)
    if not as_json:
        _print(result.step(_LAST).metrics, console)
        console.print(f"report   {escape(str(report))}", soft_wrap=True)


def _absolute(config: SlateConfig) -> SlateConfig:
    """Steps run in folders of their own."""
    feedback = config.feedback.model_copy(update={"state": str(Path(config.feedback.state).resolve())})
    return config.model_copy(update={"feedback": feedback})


def _machine_readable(result: "RunResult", report: Path | None) -> dict[str, Any]:
    return {
        "run_id": result.run_id,
        "status": result.status,
        "seconds": round(result.seconds, 3),
        "report": str(report) if report else None,
        "metrics": dict(result.step(_LAST).metrics),
        "failure": result.failure and result.failure.to_dict(),
    }


def _print(metrics: Mapping[str, Any], console: Console) -> None:
    numbers = {name: float(value) for name, value in metrics.items()}
    console.print(
        f"slates   [bold]{numbers['slates']:,.0f}[/bold] of {numbers['users']:,.0f} users, "
        f"{numbers['bytes'] / 2**20:,.1f} MiB, {numbers['users_per_s']:,.0f} users/s",
        highlight=False,
    )
    prefix = "skipped_"
    for name, value in numbers.items():
        if name.startswith(prefix):
            reason = name.removeprefix(prefix).replace("_", " ")
            console.print(f"without  {value:,.0f} users: {reason}", highlight=False)
    if numbers["resumed"]:
        console.print(
            f"resumed  {numbers['resumed']:,.0f} users were done by an earlier run", highlight=False
        )
    console.print(f"removed  {numbers['dropped']:,.0f} slates of other releases", highlight=False)
