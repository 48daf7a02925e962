"""``slate simulate``: a rollout among users whose tastes are known."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from slate.errors import ConfigError

if TYPE_CHECKING:
    from slate.simulation.prepare import Prepared
    from slate.simulation.run import Stack

_KINDS = ("better", "worse", "slow", "broken", "same")


def simulate(
    candidate: Annotated[str, typer.Option(help=f"What the candidate is: {', '.join(_KINDS)}.")] = "better",
    users: Annotated[int | None, typer.Option(min=100, help="5,000, or 1,500 with --quick.")] = None,
    days: Annotated[float, typer.Option(min=0, help="Of simulated time, after which nobody comes.")] = 7.0,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller world and a shorter rollout.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the world, its users and all they do.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Requests a real second; the more, the faster time passes.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where all of it is kept; below .slate/simulation by default.")
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Train and publish the releases, and end before users come.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="The gateway of a stack that is up, over a --folder made by --prepare.")
    ] = None,
    events_url: Annotated[
        str | None, typer.Option(help="Its events endpoint; the gateway by default.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="SLATE_API_KEY", help="Its API key; better in the environment.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Of the stack: rollout.objective=non_inferiority.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON at the end.")] = False,
) -> None:
    """Train two releases for invented users, roll one out among them over HTTP, and see what is decided.

    The stack is the one of `slate up`, started for this and taken down again. Exit status: 0 when the rollout
    ended as it had to, 1 when it did not.
    """
    if candidate not in _KINDS:
        raise ConfigError(f"--candidate {candidate}: known are {', '.join(_KINDS)}")
    if url is not None and folder is None:
        raise ConfigError("--url: name the --folder that the stack's store was prepared in")
    console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False, soft_wrap=True)
    if url is not None and folder is not None:
        from slate.simulation.prepare import read_prepared

        prepared = read_prepared(folder)
    else:
        prepared = _prepared(candidate, users, rate, folder, console, quick=quick, seed=seed)
    if prepare:
        _print_how(prepared, console, as_json=as_json)
        return
    told = overrides or []
    if url is not None:
        stack = _other_stack(prepared, url, events_url, key)
        _run(prepared, stack, told, days, console, as_json=as_json)
        return
    # As Ctrl-C: what is up goes down in good order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with own_stack(prepared, told, console) as stack:
        _run(prepared, stack, told, days, console, as_json=as_json)


def _prepared(
    candidate: str,
    users: int | None,
    rate: float | None,
    folder: Path | None,
    console: Console,
    *,
    quick: bool,
    seed: int,
) -> "Prepared":
    from pipelines.fingerprint import code_fingerprint
    from slate.cli.parameters import new_run_id
    from slate.simulation.prepare import prepare
    from slate.simulation.releases import CACHE, Candidate
    from slate.simulation.settings import read_settings

    settings = read_settings(quick=quick, users=users, rate=rate)
    kind = Candidate(candidate)
    chosen = folder or Path(".slate/simulation") / f"{new_run_id()}-{kind}"
    console.print(
        f"{settings.size.users:,} users, {settings.size.items} items, candidate {kind}, seed {seed}; "
        f"kept in {escape(str(chosen))}"
    )
    with console.status("preparing") as status:
        return prepare(
            settings,
            kind,
            chosen,
            seed=seed,
            code=code_fingerprint(),
            cache=CACHE.expanduser(),
            tell=lambda line: status.update(escape(line)),
        )


@contextlib.contextmanager
def own_stack(prepared: "Prepared", overrides: Sequence[str], console: Console) -> Iterator["Stack"]:
    """The stack of `slate up` over what was prepared, up as long as this is entered.

    Raises:
        ConfigError: something that it needs is not installed.
    """
    try:
        from serving.stack import Stack as Up
        from serving.stack import apart
        from slate.simulation.client import Address
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"slate simulate needs {error.name}; install slate-recommender with the extras [serve,local]"
        ) from error
    from slate.clock import VARIABLE, SystemClock, scale_of
    from slate.simulation.run import Stack
    from slate.simulation.trouble import SlowProxy

    folder, late = prepared.folder / "stack", prepared.candidate == "slow"
    with contextlib.closing(SlowProxy()) as proxy, contextlib.ExitStack() as entered:
        with console.status("starting the stack") as status:
            up = Up(
                prepared.store,
                folder,
                config=prepared.config_path,
                overrides=[*apart(folder), *overrides],
                time_scale=prepared.time_scale,
                through={"candidate": proxy.port} if late else {},
                tell=lambda line: status.update(escape(line)),
            )
            entered.enter_context(up)
        yield Stack(
            Address(up.gateway_url, up.events_url, up.api_key),
            SystemClock(scale_of(up.environment.get(VARIABLE))),
            pid=up.pid,
            candidate_port=up.ports.candidate,
            proxy=proxy if late else None,
        )


def _other_stack(prepared: "Prepared", url: str, events_url: str | None, key: str | None) -> "Stack":
    from slate.clock import SystemClock
    from slate.simulation.client import Address
    from slate.simulation.run import Stack

    if prepared.candidate in ("slow", "broken"):
        raise ConfigError(
            f"--url {url}: a {prepared.candidate} candidate needs a stack of its own; leave --url out"
        )
    if key is None:
        raise ConfigError("--key: the stack's API key is needed; 'slate up' shows it, or set SLATE_API_KEY")
    address = Address(url.rstrip("/"), (events_url or url).rstrip("/"), key)
    return Stack(address, SystemClock())


def _run(
    prepared: "Prepared",
    stack: "Stack",
    overrides: Sequence[str],
    days: float,
    console: Console,
    *,
    as_json: bool,
) -> None:
    from slate.cli.simulate_view import CourseView, print_outcome, print_releases
    from slate.simulation.run import simulate as run

    print_releases(prepared.releases, console)
    with CourseView(stack.clock.scale.factor, console) as view:
        outcome = run(prepared, stack, overrides=overrides, days=days, listener=view.show)
    if outcome is None:
        raise ConfigError(f"--days {days:g}: the rollout had not begun when they were over; give it more")
    if as_json:
        typer.echo(json.dumps(outcome.plain(), ensure_ascii=False))
    else:
        print_outcome(outcome, console)
    page = _write_report(prepared, stack, overrides, outcome.rollout_id)
    console.print(f"report {escape(str(page))}, all else in {escape(str(prepared.folder))}")
    if not outcome.as_expected:
        raise typer.Exit(1)


def _write_report(prepared: "Prepared", stack: "Stack", overrides: Sequence[str], rollout_id: str) -> Path:
    """The page of `slate rollout report`."""
    from slate.rollout.report.course import read_course
    from slate.rollout.report.page import render
    from slate.rollout.report.slices import read_slices
    from slate.storage import open_store

    config, store, now = prepared.config(overrides), open_store(prepared.store), stack.clock.now()
    course = read_course(store, rollout_id)
    slices, without = read_slices(store, course.state, config.rollout, now)
    path = prepared.folder / "report.html"
    path.write_text(render(course, slices, without, config.rollout, now), encoding="utf-8")
    return path


def _print_how(prepared: "Prepared", console: Console, *, as_json: bool) -> None:
    """What to type next, where a stack is started by hand."""
    if as_json:
        typer.echo(json.dumps({"folder": str(prepared.folder), "store": prepared.store}))
        return
    scale = f"--time-scale {prepared.time_scale:g}"
    console.print(
        f"prepared. In one terminal:\n  slate up --store {prepared.store} "
        f"--config {prepared.config_path} {scale}\nin another:\n  slate simulate "
        f"--folder {prepared.folder} --url http://127.0.0.1:8000"
    )
