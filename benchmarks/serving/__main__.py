"""Measure how a release is served: ``slate bench serving``, or ``python -m benchmarks.serving``."""

import argparse
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.serving.contenders import CONTENDERS, SLATE, STOCK
from benchmarks.serving.drive import Bench
from benchmarks.serving.environments import ROOT, MissingError, install
from benchmarks.serving.facts import gather
from benchmarks.serving.plan import FULL, MEASURES, QUICK, Plan
from benchmarks.serving.session import Session
from benchmarks.serving.synthetic import Size
from benchmarks.serving.table import markdown
from benchmarks.serving.targets import targets
from benchmarks.serving.worlds import World, opened, synthetic

_CACHE: Final = Path("~/.cache/slate/bench").expanduser()
_RESULTS: Final = ROOT / "benchmarks" / "results"
_SCRATCH: Final = Path(".slate/bench")
_BUSY: Final = 0.5
_MAKE: Final = "slate data init movielens-100k && slate run --config conf/movielens.yaml"


def main() -> None:
    """Parse the command line, measure, and write what came out."""
    given = _arguments()
    # However it ends, the servers end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    plan = _plan(given)
    results = _measured(given, plan)
    out = Path(given.out) if given.out else (_SCRATCH if given.quick else _RESULTS)
    _write(results, out, "serving-quick" if given.quick else "serving")


def _measured(given: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    began = time.monotonic()
    cache = Path(given.cache).expanduser()
    with tempfile.TemporaryDirectory(prefix="slate-bench-") as work:
        bench = Bench(given.server_core, given.generator_core, Path(work), cache, given.deadline_ms)
        session = Session(bench, plan, _chosen(given.measure, MEASURES, "--measure"), _teller(began))
        if os.getloadavg()[0] > _BUSY:
            session.say(f"the machine is busy (load {os.getloadavg()[0]:.1f}): figures will stray")
        names = _installed(given, session, cache)
        results: dict[str, Any] = {
            "facts": gather(bench, _command(), names),
            "plan": dataclasses.asdict(plan),
        }
        results["worlds"] = _worlds(given, session, names)
        for measure in ("noop", "swaps", "faults"):
            if session.wants(measure):
                _try(session, measure, lambda: getattr(session, measure)(), results)  # noqa: B023
        results["facts"]["seconds"] = time.monotonic() - began
        results["skipped"] = session.skipped
    results["targets"] = [target.plain() for target in targets(results)]
    return results


def _worlds(given: argparse.Namespace, session: Session, names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not any(session.wants(each) for each in ("bare", "capacity", "latency", "overload")):
        return found
    world = synthetic(Size(session.plan.items, session.plan.users), session.bench.cache, session.say)
    _try(session, world.name, lambda: session.world(world, names), found)
    if not given.quick:
        real = _movielens(given, session)
        if real is not None:
            both = [name for name in names if name in (SLATE, STOCK)]
            _try(session, real.name, lambda: session.world(real, both, more=False), found)
    return found


def _movielens(given: argparse.Namespace, session: Session) -> World | None:
    store = Path(given.movielens)
    if not (store / "releases").is_dir():
        session.skipped["movielens"] = f"{store} holds no release; make one: {_MAKE}"
        return None
    return opened("movielens", store)


def _try(session: Session, name: str, measure: Callable[[], Any], results: dict[str, Any]) -> None:
    """One measurement; what cannot be measured is told, and the others go on."""
    try:
        results[name] = measure()
    except (MissingError, RuntimeError, TimeoutError, AssertionError) as error:
        session.skipped[name] = f"{type(error).__name__}: {error}"
        session.say(f"{name}: not measured, {error}")


def _installed(given: argparse.Namespace, session: Session, cache: Path) -> list[str]:
    names = []
    for name in _chosen(given.contenders, session.plan.contenders, "--contenders", CONTENDERS):
        peer = CONTENDERS[name].peer
        if given.install and peer is not None:
            try:
                install(peer, CONTENDERS[name].package, cache, session.say)
            except MissingError as error:
                session.skipped[name] = str(error)
                continue
        names.append(name)
    return names


def _chosen(
    given: str | None,
    default: Sequence[str],
    option: str,
    known: Sequence[str] | dict[str, Any] | None = None,
) -> list[str]:
    chosen = given.split(",") if given else list(default)
    unknown = [name for name in chosen if name not in (known or default)]
    if unknown:
        sys.exit(f"error: {option}: {', '.join(unknown)}: known are {', '.join(known or default)}")
    return chosen


def _plan(given: argparse.Namespace) -> Plan:
    plan = QUICK if given.quick else FULL
    changed = {name: getattr(given, name) for name in ("items", "swaps") if getattr(given, name) is not None}
    return dataclasses.replace(plan, **changed)


def _teller(began: float) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    return say


def _command() -> str:
    return " ".join(["slate bench serving", *sys.argv[1:]])


def _write(results: dict[str, Any], out: Path, stem: str) -> None:
    from benchmarks.serving.plot import draw

    out.mkdir(parents=True, exist_ok=True)
    (out / f"{stem}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = markdown(results)
    drawn = draw(results, out / f"{stem}.svg")
    if drawn:
        text = text.replace("## Targets", f"![Capacity, latency and overload]({stem}.svg)\n\n## Targets", 1)
    (out / f"{stem}.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"written: {out / stem}.json, .md{' and .svg' if drawn else ''}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="slate bench serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller catalogue, two servers, short runs")
    parser.add_argument("--contenders", help=f"by commas, of {', '.join(CONTENDERS)}")
    parser.add_argument("--measure", help=f"by commas, of {', '.join(MEASURES)}")
    parser.add_argument("--out", help="a folder for the results")
    parser.add_argument("--items", type=int, help="items of the synthetic catalogue")
    parser.add_argument("--swaps", type=int, help="how many releases are swapped")
    parser.add_argument("--install", action="store_true", help="make the environments that are missing")
    parser.add_argument("--movielens", default=".slate", help="a store whose stable release is served too")
    parser.add_argument("--cache", default=str(_CACHE), help="where worlds and environments are kept")
    parser.add_argument("--deadline-ms", type=float, default=200.0, help="what counts as in time")
    parser.add_argument("--server-core", default="0", help="a list for taskset")
    parser.add_argument("--generator-core", default="1", help="a list for taskset")
    return parser.parse_args()


if __name__ == "__main__":
    main()
