"""``slate bench``: measurements beside other servers, from a checkout."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from slate.errors import ConfigError, SlateError

app = typer.Typer(no_args_is_help=True, help="Measure this project beside others; needs a checkout.")

_ROOT: Final = Path(__file__).parents[2]
_TASKSET: Final = Path("/usr/bin/taskset")


@app.callback()
def _bench() -> None:
    """Nothing of its own."""


@app.command()
def serving(
    quick: Annotated[bool, typer.Option("--quick", help="A smaller catalogue, two servers.")] = False,
    contenders: Annotated[
        str | None, typer.Option(help="By commas: slate, kserve, mlserver, bentoml, litserve.")
    ] = None,
    measure: Annotated[
        str | None, typer.Option(help="By commas: bare, capacity, latency, overload, noop, swaps, faults.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for table, plot and JSON.")] = None,
    items: Annotated[int | None, typer.Option(min=300, help="Items of the synthetic catalogue.")] = None,
    swaps: Annotated[int | None, typer.Option(min=1, help="How many releases are swapped.")] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Make the other servers' environments first.")
    ] = False,
    movielens: Annotated[
        Path | None, typer.Option(help="A store whose stable release is served too.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where catalogues and environments are kept.")] = None,
) -> None:
    """How fast a release is served: this server, stock KServe, others, and the stages without any server.

    Open-loop load from a process of its own; a core for the server, another for the load. A full run takes
    about twelve minutes on a quiet machine, --quick less than three, and the first of either some more, to
    make its catalogue.
    """
    if not (_ROOT / "benchmarks" / "serving" / "__main__.py").is_file():
        raise ConfigError(
            "slate bench needs a checkout, and this is an installed package without its benchmarks; "
            "run it from a clone of the repository"
        )
    if not _TASKSET.exists() or (os.cpu_count() or 1) < 2:
        raise ConfigError("slate bench serving needs taskset (util-linux) and two processor cores; use Linux")
    valued: dict[str, object] = {
        "contenders": contenders,
        "measure": measure,
        "out": out and out.absolute(),
        "items": items,
        "swaps": swaps,
        "movielens": movielens and movielens.absolute(),
        "cache": cache and cache.absolute(),
    }
    words = [f"--{name}={value}" for name, value in valued.items() if value is not None]
    words += [flag for flag, given in (("--quick", quick), ("--install", install)) if given]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(  # noqa: S603 - this project's own module
        [sys.executable, "-m", "benchmarks.serving", *words], cwd=_ROOT, env=environment, check=False
    )
    if done.returncode:
        raise SlateError(f"the benchmark ended with {done.returncode}; what it said is above")
