"""``slate run``: a pipeline on this machine."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from slate.cli.batch import BATCH, run_batch
from slate.cli.parameters import (
    INCREMENTAL,
    arguments,
    champion_of,
    chosen_config,
    download_cache,
    new_run_id,
    own_arguments,
    store_uri,
    tracked,
)
from slate.clock import SystemClock
from slate.config import SlateConfig
from slate.errors import ConfigError, GateError

if TYPE_CHECKING:
    from pipelines.results import RunResult

_REFUSED: Final = "refused"
_BENCHMARK_CHECK: Final = "protocol"
_TRACKING_STEPS: Final = ("open_run", "track", "register_release")


def run(
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; MovieLens-100K by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Where releases go: a directory or gs://bucket/prefix.")
    ] = None,
    workdir: Annotated[Path, typer.Option(help="Where artefacts, logs and reports are kept.")] = Path(
        ".slate"
    ),
    pipeline: Annotated[str, typer.Option(help="Which pipeline to run.")] = "training",
    rollout: Annotated[bool, typer.Option("--rollout", help="Start a rollout of what is pushed.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every step, reuse none.")] = False,
    if_due: Annotated[
        bool,
        typer.Option("--if-due", help="Run only if incremental.triggers say so; for --pipeline incremental."),
    ] = False,
    partition: Annotated[
        str | None, typer.Option(help="i/n, i from 0: a part of the users only; for --pipeline batch.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON at the end.")] = False,
) -> None:
    """Train, evaluate, gate and seal a release on this machine, reusing finished steps.

    ``--pipeline incremental`` brings the live release up to date with what happened since it was trained.
    ``--pipeline batch`` trains nothing: it computes the slates of active users ahead.

    Exit status: 0 when a release was pushed or nothing changed, 3 when the gate refused, the failing step's
    own otherwise.
    """
    chosen = tracked(chosen_config(config, overrides), workdir)
    place = store_uri(store, chosen)
    # Bound to today's stream: kfp's own talk is redirected while the pipeline runs.
    console = Console(file=sys.stderr if as_json else sys.stdout)
    if pipeline == BATCH:
        _only_for_training(rollout=rollout, if_due=if_due, no_cache=no_cache)
        run_batch(chosen, place, workdir, partition, console, as_json=as_json)
        return
    if partition is not None:
        raise ConfigError(f"--partition: the {pipeline} pipeline has none; use it with --pipeline batch")

    champion = champion_of(place) if chosen.split.protocol == "temporal" else ""
    more = own_arguments(pipeline, chosen, place, champion)
    if if_due and not _is_due(pipeline, chosen, place, champion, console, as_json=as_json):
        return

    from pipelines.compile import load
    from pipelines.fingerprint import code_fingerprint
    from pipelines.local import run_pipeline, step_names
    from pipelines.results import StepError, StepTraceback
    from pipelines.runs import key_of, unfinished
    from slate.cli.progress import Progress
    from slate.data.ingest import source_fingerprint
    from slate.steps.record_outcome import record_outcome

    function = load(pipeline)
    cache = download_cache()
    parameters = arguments(
        chosen,
        store=place,
        champion=champion,
        data_fingerprint=source_fingerprint(chosen.dataset, cache),
        code_fingerprint=code_fingerprint(),
        run_id="",
        checkpoints=str(workdir.resolve() / "checkpoints"),
        cache=str(cache),
        rollout_requested=rollout,
        more=more,
    )
    interrupted = unfinished(workdir, key_of(function.name, parameters, caching=not no_cache))
    run_id = interrupted or new_run_id()
    parameters["run_id"] = run_id
    again = "going on with run" if interrupted else "run"
    console.print(f"{again} {run_id} of {pipeline} on {chosen.dataset.name}, store {place}", highlight=False)
    try:
        with Progress(step_names(function), console) as progress:
            result = run_pipeline(
                function,
                parameters,
                run_id=run_id,
                workdir=workdir,
                caching=not no_cache,
                listener=progress.event,
            )
    except KeyboardInterrupt:
        record_outcome(place, run_id, "", {"state": "CANCELLED"}, parameters["tracking"])
        Console(stderr=True).print("interrupted; finished steps are kept, and the next run goes on from them")
        raise
    for problem in unrecorded(result):
        Console(stderr=True, soft_wrap=True).print(
            f"[yellow]warning:[/yellow] {escape(problem)}", highlight=False
        )
    if as_json:
        typer.echo(json.dumps(machine_readable(result), ensure_ascii=False))
    if result.failure:
        raise StepError(result.failure) from StepTraceback(result.failure.traceback)
    if not as_json:
        from slate.cli.summary import print_summary

        print_summary(result, console)
    if result.verdict_status == _REFUSED:
        failed = failed_checks(result)
        if _BENCHMARK_CHECK in failed and chosen.split.protocol != "temporal":
            console.print(
                f"measured only: {chosen.split.protocol} is a benchmark protocol and makes no release"
            )
            return
        raise GateError(
            f"gate: refused by {', '.join(failed) or 'the evidence'}; "
            f"the verdict is in {result.artefact('gate', 'verdict')}, the report in {result.report}"
        )


def _only_for_training(**given: bool) -> None:
    named = [f"--{name.replace('_', '-')}" for name, chosen in given.items() if chosen]
    if named:
        raise ConfigError(f"{', '.join(named)}: means nothing to the batch pipeline; leave it out")


def _is_due(
    pipeline: str, config: SlateConfig, store: str, champion: str, console: Console, *, as_json: bool
) -> bool:
    """Whether the triggers call for a run, and say why or why not."""
    if pipeline != INCREMENTAL:
        raise ConfigError(
            f"--if-due: the {pipeline} pipeline has no triggers; use it with --pipeline incremental"
        )
    from slate.steps.triggers import due

    found = due(config, store, champion, download_cache(), SystemClock().now())
    for trigger, reason in found.reasons.items():
        console.print(f"due by {trigger}: {reason}", highlight=False)
    if not found:
        console.print(
            f"not due: {found.interactions:,} interactions are new since release {found.release_id}, "
            f"made {found.hours:.1f} h ago",
            highlight=False,
        )
        if as_json:
            typer.echo(json.dumps(found.to_dict()))
    return bool(found)


def unrecorded(result: "RunResult") -> list[str]:
    """Why tracking does not hold all of this run, each reason once."""
    said = [result.step(step).outputs.get("Output") for step in _TRACKING_STEPS]
    return list(dict.fromkeys(text for text in said if isinstance(text, str) and text))


def failed_checks(result: "RunResult") -> list[str]:
    """The names of the gate's checks that did not pass."""
    verdict = result.artefact("gate", "verdict")
    if verdict is None:
        return []
    checks = json.loads(verdict.read_text(encoding="utf-8"))["checks"]
    return [check["name"] for check in checks if not check["passed"]]


def machine_readable(result: "RunResult") -> dict[str, Any]:
    """A run as JSON: what became of each step, where things lie, and what was measured."""
    return {
        "run_id": result.run_id,
        "status": result.status,
        "seconds": round(result.seconds, 3),
        "verdict": result.verdict_status,
        "failed_checks": failed_checks(result),
        "release_id": result.release_id,
        "rollout_id": result.rollout_id,
        "unrecorded": unrecorded(result),
        "report": str(result.report) if result.report else None,
        "metrics": dict(result.step("evaluate").metrics),
        "failure": result.failure and result.failure.to_dict(),
        "steps": [
            {
                "step": step.step,
                "outcome": step.outcome,
                "seconds": round(step.seconds, 3),
                "attempts": step.attempts,
                "outputs": {
                    name: str(value) if isinstance(value, Path) else value
                    for name, value in step.outputs.items()
                },
            }
            for step in result.steps
        ],
    }
