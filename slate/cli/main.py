"""The ``slate`` command: the only place that knows everything."""

import sys

import typer
from rich.console import Console

from slate import __version__
from slate.cli import (
    bench,
    data,
    doctor,
    evaluate,
    events,
    items,
    metrics,
    monitor,
    nights,
    off_policy,
    recommend,
    releases,
    rollout,
    run,
    runs,
    serve,
    simulate,
    submit,
    train_worker,
    tune,
    up,
)
from slate.cli import compile as compile_commands
from slate.errors import SlateError

app = typer.Typer(
    name="slate",
    help="Train, gate, seal, serve and roll out recommenders. Any command takes --debug for tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"slate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Nothing of its own: options of all commands."""


app.command("run")(run.run)
app.command("compile")(compile_commands.compile_pipeline)
app.command("submit")(submit.submit)
app.command("schedule")(submit.schedule)
app.command("recommend")(recommend.recommend)
app.command("serve")(serve.serve)
app.command("up")(up.up)
app.command("down")(up.down)
app.command("doctor")(doctor.doctor)
app.command("evaluate")(evaluate.evaluate)
app.command("monitor")(monitor.monitor)
app.command("tune")(tune.tune)
app.command("train-worker")(train_worker.train_worker)
app.command("simulate")(simulate.simulate)
app.command("nights")(nights.nights)
app.command("metrics")(metrics.metrics)
app.command("off-policy")(off_policy.off_policy)
app.add_typer(data.app, name="data", help="Describe, check and compare data sets.")
app.add_typer(runs.app, name="runs", help="List, inspect and compare recorded runs.")
app.add_typer(events.app, name="events", help="Take in what users do, send it, and work it off.")
app.add_typer(items.app, name="items", help="Add items or take them down without a new release.")
app.add_typer(releases.app, name="releases", help="List, inspect, verify and move releases.")
app.add_typer(rollout.app, name="rollout", help="Bring a release to users step by step.")
app.add_typer(bench.app, name="bench", help="Measure this project beside others; needs a checkout.")


def main() -> None:
    """Run the command line; errors a user can act on become one line and an exit code."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments)
    except SlateError as error:
        if debug:
            raise
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/red] {_plain(str(error))}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        if debug:
            raise
        Console(stderr=True).print("interrupted; finished steps are kept and the next run goes on from them")
        sys.exit(130)
    except OSError as error:
        if debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[red]error:[/red] {_plain(f'{error.strerror or error}{where}')}; --debug shows where"
        )
        sys.exit(1)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()
