"""``slate tune``: search better settings on validation data."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.parameters import download_cache, tracked
from slate.config import SlateConfig, default_config_path, parse_config, read_config
from slate.errors import ConfigError

if TYPE_CHECKING:
    from slate.tuning.tune import Search


def tune(
    config: Annotated[
        Path | None, typer.Option(help="A YAML configuration; MovieLens-100K by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many trials in all, those of earlier calls included.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="tpe, random or grid.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many trials run at once, each a process.")] = 1,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which no trial begins; those that run end.")
    ] = None,
    workdir: Annotated[Path, typer.Option(help="Where studies, logs and reports are kept.")] = Path(".slate"),
    out: Annotated[Path, typer.Option(help="Where the best configuration is written.")] = Path("best.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON at the end.")] = False,
) -> None:
    """Try settings from the space in section `tuning`; write the best as a file for `slate run --config`.

    Trials see training and validation data, never the test slice. Killed or interrupted, the same command
    goes on: finished trials are kept.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError("slate tune needs Optuna; install slate with the extra [tuning]") from error

    from pipelines.fingerprint import code_fingerprint
    from slate.cli.tune_progress import TuneProgress
    from slate.tuning.best import write_best
    from slate.tuning.prepare import prepare
    from slate.tuning.report import write_report
    from slate.tuning.space import check
    from slate.tuning.tune import tune as search_best

    given = config or default_config_path()
    raw = read_config(given, overrides or ())
    told = [f"tuning.{k}={v}" for k, v in (("trials", trials), ("sampler", sampler)) if v is not None]
    chosen = parse_config(raw, str(given), told)
    check(chosen)
    console = Console(file=sys.stderr if as_json else sys.stdout)
    root = workdir.resolve() / "tuning"
    console.print(f"preparing {chosen.dataset.name}", highlight=False)
    prepared = prepare(chosen, code_fingerprint(), download_cache(), root)
    try:
        with TuneProgress(chosen.tuning.trials, console) as progress:
            search = search_best(chosen, prepared, root, jobs=jobs, timeout=timeout, listener=progress.event)
    except KeyboardInterrupt:
        Console(stderr=True).print(
            "interrupted; finished trials are kept, and the same command goes on from them"
        )
        raise
    write_best(search, chosen, raw, given, out)
    report = write_report(search, chosen)
    problem = _record(search, chosen, workdir)
    if problem:
        Console(stderr=True, soft_wrap=True).print(f"[yellow]warning:[/yellow] {escape(problem)}")
    if as_json:
        typer.echo(json.dumps(machine_readable(search, out, report), ensure_ascii=False))
    else:
        _print(search, out, report, console)


def _record(search: "Search", chosen: SlateConfig, workdir: Path) -> str:
    """Record the trials with MLflow; why that failed, empty where it did not."""
    from slate.tracking.attempt import attempt
    from slate.tracking.study import record_study

    section = tracked(chosen, workdir).tracking
    trials = [trial.plain() for trial in search.trials]
    objective = chosen.tuning.objective
    return attempt(section, lambda client: record_study(client, section, search.name, objective, trials))


def machine_readable(search: "Search", out: Path, report: Path) -> dict[str, Any]:
    """A search as JSON."""
    return {
        "study": search.name,
        "folder": str(search.folder),
        "split_fingerprint": search.fingerprint,
        "best": search.best.plain(),
        "baseline": search.baseline.plain() if search.baseline else None,
        "difference": asdict(search.difference) if search.difference else None,
        "importances": search.importances,
        "trials": [trial.plain() for trial in search.trials],
        "config": str(out),
        "report": str(report),
    }


def _print(search: "Search", out: Path, report: Path, console: Console) -> None:
    from slate.tuning.summary import gain, outcome_counts, shown

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("configuration", justify="right")
    table.add_column("best", justify="right", style="bold")
    best, baseline = search.best, search.baseline
    known = "–" if baseline is None or baseline.value is None else f"{baseline.value:.4f}"
    table.add_row("validation", known, f"{best.value:.4f}")
    for key, value in best.values.items():
        table.add_row(key, shown(baseline.values.get(key)) if baseline else "–", shown(value))
    console.print(table)
    console.print(f"{outcome_counts(search.trials)}; {gain(search)}", highlight=False, soft_wrap=True)
    console.print(
        f"config {escape(str(out))} (slate run --config {escape(str(out))}), report {escape(str(report))}",
        highlight=False,
        soft_wrap=True,
    )
