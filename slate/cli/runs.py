"""``slate runs``: what was run, how it went, and what differs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slate.cli.parameters import chosen_config, tracked
from slate.config import TrackingConfig

if TYPE_CHECKING:
    from slate.tracking.read import RecordedRun

app = typer.Typer(no_args_is_help=True, help="List, inspect and compare recorded runs.")

Config = Annotated[Path | None, typer.Option(help="The configuration whose section tracking says where.")]
Uri = Annotated[str | None, typer.Option(help="A tracking server or database, instead.")]
Workdir = Annotated[Path, typer.Option(help="Where the database of local runs lies.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunArgument = Annotated[
    str, typer.Argument(help="A run id or its beginning, the id of its release, or latest.")
]

_SEARCHED: Final = 200
#: What `list` shows of the metrics: those with these names, whatever their cut-off.
_HEADLINE: Final = ("test/ndcg_at_", "test/recall_at_")
#: Enough of a release id to name it: its instant to the second.
_RELEASE_SHOWN: Final = 15
_OWN: Final = ("test/", "two_tower/", "ranker/")
_LOWER_IS_BETTER: Final = ("loss", "seconds", "concentration", "popularity")
_NEITHER: Final = ("parameters", "best_epoch", "learning_rate", "novelty")
_INTERRUPTED: Final = "interrupted"


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=_SEARCHED, help="How many, the newest first.")] = 20,
    config: Config = None,
    uri: Uri = None,
    workdir: Workdir = Path(".slate"),
    as_json: Json = False,
) -> None:
    """The latest runs: state, verdict, headline metrics, release."""
    runs = _runs(config, uri, workdir, limit)
    if as_json:
        _print_json([_machine_readable(run) for run in runs])
        return
    console = Console()
    if not runs:
        console.print("no runs are recorded yet; 'slate run' makes the first")
        return
    shown = _headline(runs)
    several = len({run.dataset for run in runs}) > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for name in shown:
        table.add_column(_short(name), justify="right")
    table.add_column("time", justify="right")
    table.add_column("release", no_wrap=True)
    if several:
        table.add_column("data set")
    for run in runs:
        cells = [escape(run.run_id), _outcome(run), *(_number(run.metrics.get(name)) for name in shown)]
        cells += [_duration(run.seconds), escape(run.release_id[:_RELEASE_SHOWN])]
        table.add_row(*cells, *([escape(run.dataset)] if several else []))
    console.print(table)


@app.command()
def show(
    run: RunArgument,
    config: Config = None,
    uri: Uri = None,
    workdir: Workdir = Path(".slate"),
    as_json: Json = False,
) -> None:
    """One run: how it ended, its metrics beside the baselines, its configuration."""
    from slate.tracking.read import chosen_run

    found = chosen_run(_runs(config, uri, workdir, _SEARCHED), run)
    if as_json:
        _print_json(_machine_readable(found))
        return
    console = Console()
    facts = {
        "run": found.run_id,
        "state": found.state,
        "started": f"{found.started:%Y-%m-%d %H:%M:%S} UTC",
        "time": _duration(found.seconds),
        "data set": found.dataset,
        "verdict": found.verdict,
        "refused by": found.failed_checks,
        "release": found.release_id,
        "error": found.error,
        "MLflow": f"experiment {found.experiment}, run {found.tracked}",
    }
    for name, value in facts.items():
        if value:
            console.print(f"[bold]{name:<11}[/bold]{escape(value)}", soft_wrap=True, highlight=False)
    for title, values in (("metrics", _numbers(found.metrics)), ("configuration", found.params)):
        table = Table("", "", title=title, title_justify="left", box=None, show_header=False)
        for name, value in sorted(values.items()):
            table.add_row(escape(name), escape(value))
        console.print()
        console.print(table)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two or more runs; the first is the reference.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Also the baselines' metrics, and what is the same.")
    ] = False,
    config: Config = None,
    uri: Uri = None,
    workdir: Workdir = Path(".slate"),
    as_json: Json = False,
) -> None:
    """What differs in configuration, and in the metrics of the run's own models."""
    from slate.tracking.read import chosen_run

    known = _runs(config, uri, workdir, _SEARCHED)
    if len(runs) < 2:
        raise typer.BadParameter("name two runs or more", param_hint="RUNS")
    chosen = [chosen_run(known, name) for name in runs]
    settings = _differences([run.params for run in chosen])
    metrics = {
        name: [run.metrics.get(name) for run in chosen]
        for name in sorted({name for run in chosen for name in run.metrics})
    }
    if as_json:
        _print_json({"runs": [r.run_id for r in chosen], "configuration": settings, "metrics": metrics})
        return
    console = Console()
    headers = [run.run_id for run in chosen]
    if settings:
        table = Table("configuration", *headers, box=None, padding=(0, 2, 0, 0), header_style="bold")
        for name, values in settings.items():
            table.add_row(escape(name), *(escape(v) if v is not None else "[dim]-[/dim]" for v in values))
        console.print(table)
    else:
        console.print("the configurations are the same")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("metric", overflow="fold")
    for header in headers:
        table.add_column(header, justify="right")
    shown = [n for n, f in metrics.items() if everything or (n.startswith(_OWN) and len(set(f)) > 1)]
    for name in shown:
        table.add_row(escape(name), *_cells(name, metrics[name]))
    console.print()
    if shown:
        console.print(table)
    if len(shown) < len(metrics):
        console.print(
            f"[dim]{len(metrics) - len(shown)} more are the same or baselines'; --all shows them[/dim]"
        )


def _runs(config: Path | None, uri: str | None, workdir: Path, limit: int) -> "list[RecordedRun]":
    from dataclasses import replace

    from pipelines.local import busy
    from pipelines.runs import killed
    from slate.tracking.read import recorded_runs

    if uri is not None:
        section = TrackingConfig(uri=uri)
    elif config is not None:
        section = tracked(chosen_config(config, None), workdir).tracking
    else:
        from slate.tracking.settings import resolved

        section = resolved(TrackingConfig(), "", workdir).model_copy(update={"experiment": None})
    dead = frozenset[str]() if busy(workdir) else killed(workdir)
    return [
        replace(run, state=_INTERRUPTED) if run.state == "running" and run.run_id in dead else run
        for run in recorded_runs(section, limit)
    ]


def _headline(runs: "Sequence[RecordedRun]") -> list[str]:
    """The headline metrics that any of the runs has, those with the smallest cut-off."""
    names = {name for run in runs for name in run.metrics}
    found = []
    for prefix in _HEADLINE:
        same = sorted((n for n in names if n.startswith(prefix)), key=lambda n: (len(n), n))
        found += same[:1]
    return found


def _differences(all_params: Sequence[Mapping[str, str]]) -> dict[str, list[str | None]]:
    names = sorted({name for params in all_params for name in params})
    values = {name: [params.get(name) for params in all_params] for name in names}
    return {name: found for name, found in values.items() if len(set(found)) > 1}


def _cells(name: str, figures: Sequence[float | None]) -> list[str]:
    """A metric of every run: the change against the first, and the best in bold."""
    known = [figure for figure in figures if figure is not None]
    best = None
    if len(set(known)) > 1 and not name.endswith(_NEITHER):
        best = (min if name.endswith(_LOWER_IS_BETTER) else max)(known)
    first = figures[0]
    cells = []
    for at, figure in enumerate(figures):
        text = _number(figure)
        if at and figure is not None and first:
            text += f" [dim]({figure / first - 1:+.1%})[/dim]"
        cells.append(f"[bold green]{text}[/bold green]" if best is not None and figure == best else text)
    return cells


def _machine_readable(run: "RecordedRun") -> dict[str, Any]:
    return {**asdict(run), "started": run.started.isoformat()}


def _numbers(metrics: Mapping[str, float]) -> dict[str, str]:
    return {name: _number(value) for name, value in metrics.items()}


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4f}"


def _short(metric: str) -> str:
    return metric.removeprefix("test/").replace("_at_", "@")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _outcome(run: "RecordedRun") -> str:
    """The verdict of a run that reached one, else how far it is."""
    outcome = run.verdict if run.state == "finished" and run.verdict else run.state
    colours = {"passed": "green", "failed": "red", "refused": "red", "running": "cyan", "unchanged": "blue"}
    return f"[{colours.get(outcome, 'yellow')}]{escape(outcome)}[/]"


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))
