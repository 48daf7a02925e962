"""Slates computed ahead, against the same slates asked for one by one.

Three ways to one slate for each of some users of a made-up release, in one run: a request after the other
through the bare stages, a request after the other over HTTP, and the batch pipeline's own step, processes,
JSON and writes to the state included. Run from the repository:

    python -m benchmarks.precompute

Writes ``benchmarks/results/precompute.json`` and ``precompute.md``. A quick look, on a small catalogue:

    python -m benchmarks.precompute --items 5000 --users 2000 --seconds 5 --out /tmp/quick

The time for a million users is that of ``--users`` scaled up, start of the processes apart; the cost is that
time at ``--price`` for one machine and hour, a figure that you bring.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.serving.contenders import free_port
from benchmarks.serving.synthetic import Size
from benchmarks.serving.worlds import World, synthetic

ROOT: Final = Path(__file__).resolve().parent.parent
MILLION: Final = 1_000_000
_PATIENCE_S: Final = 180.0
_TARGET: Final = 20.0


def one_by_one(world: World, items: int, seconds: float) -> dict[str, float]:
    """Requests a second through the bare stages, one after the other, and the CPU seconds of one."""
    from slate.recommend.recommender import Recommender
    from slate.recommend.request import Request
    from slate.release.verify import verify_directory

    manifest = verify_directory(world.folder)
    recommender = Recommender(world.folder, manifest.config, manifest.release_id)
    users = _shuffled(world)
    for user in users[:50]:
        recommender.recommend_batch([Request(user_id=user, k=items)])
    began, cpu, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        recommender.recommend_batch([Request(user_id=users[done % len(users)], k=items)])
        done += 1
    spent = time.perf_counter() - began
    return {"per_s": done / spent, "cpu_ms": 1000 * (time.process_time() - cpu) / done}


def over_http(world: World, items: int, seconds: float, work: Path) -> dict[str, float]:
    """Requests a second to ``slate serve`` on one connection, one after the other."""
    import http.client

    port = free_port()
    command = [sys.executable, "-c", "from slate.cli.main import main; main()", "serve"]
    command += ["--store", str(world.store), "--set", f"serving.http_port={port}"]
    command += ["--set", f"serving.grpc_port={free_port()}"]
    command += ["--set", f"serving.state={work / 'served.db'}", "--set", "serving.deadline_ms=5000"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    with (work / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        _wait(connection, server, work / "serve.log")
        users = _shuffled(world)

        def ask(user: str) -> None:
            body = json.dumps({"instances": [{"user_id": user, "k": items, "deadline_ms": 5000}]})
            connection.request(
                "POST", "/v1/models/recommender:predict", body, {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200 or b"personalised" not in content:
                raise RuntimeError(f"HTTP {answer.status}: {content[:300]!r}")

        for user in users[:50]:
            ask(user)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            ask(users[done % len(users)])
            done += 1
        return {"per_s": done / (time.perf_counter() - began)}
    finally:
        server.terminate()
        server.wait()


def in_batches(world: World, items: int, size: int, workers: int, users: int, work: Path) -> dict[str, float]:
    """Users a second of the step, its start apart, and all of its seconds."""
    from slate.steps.precompute import precompute

    total = _total(world)
    parts = max(1, round(total / users))
    batch = {"items": items, "size": size, "workers": workers, "active_days": 100_000.0, "resume_h": 0.0}
    state = work / f"state-{size}-{workers}.db"
    (done,) = precompute(batch, {"state": str(state)}, str(world.store), f"0/{parts}")
    if done["slates"] != done["users"]:
        raise RuntimeError(f"only {done['slates']} of {done['users']} users have a slate: {done['skipped']}")
    working = done["process_seconds"] / workers
    return {
        "users": done["users"],
        "per_s": done["users"] / working,
        "seconds": done["seconds"],
        "start_s": done["seconds"] - working,
        "bytes_a_slate": done["bytes"] / done["slates"],
        "file_bytes_a_slate": state.stat().st_size / done["slates"],
    }


def report(given: argparse.Namespace, found: dict[str, Any]) -> dict[str, Any]:
    """All figures, with what follows from them."""
    best = max(found["batch"], key=lambda one: one["per_s"])
    hours = (MILLION / best["per_s"] + best["start_s"]) / 3600
    times = {name: best["per_s"] / found[name]["per_s"] for name in ("one_by_one", "http")}
    return {
        "machine": {"cores": len(os.sched_getaffinity(0)), "processor": platform.processor() or "x86_64"},
        "catalogue": given.items,
        "slate_items": given.slate,
        **found,
        "best": best,
        "times_one_by_one": times["one_by_one"],
        "times_http": times["http"],
        "target": _TARGET,
        "million_hours": hours,
        "extrapolated_from": best["users"],
        "price_an_hour": given.price,
        "million_cost": None if given.price is None else hours * given.price,
        "million_state_bytes": MILLION * best["bytes_a_slate"],
    }


def markdown(told: dict[str, Any]) -> str:
    """The same for people."""
    rows = [
        ("one by one, bare stages", told["one_by_one"]["per_s"], 1.0),
        ("one by one, over HTTP", told["http"]["per_s"], told["http"]["per_s"] / told["one_by_one"]["per_s"]),
        *(
            (
                f"batches of {one['size']}, {one['workers']} processes",
                one["per_s"],
                one["per_s"] / told["one_by_one"]["per_s"],
            )
            for one in told["batch"]
        ),
    ]
    table = "\n".join(f"| {name} | {rate:,.0f} | {ratio:.1f} |" for name, rate, ratio in rows)
    cost = (
        "no price was given"
        if told["million_cost"] is None
        else f"{told['million_cost']:.2f} at {told['price_an_hour']:g} an hour"
    )
    sentence = (
        f"Best: {told['times_one_by_one']:.1f} times the bare stages one by one and {told['times_http']:.1f} "
        f"times HTTP one by one, where {told['target']:.0f} are wanted. A million users take "
        f"{60 * told['million_hours']:.0f} minutes, extrapolated from {told['extrapolated_from']:,} users; "
        f"cost: {cost}. Their slates are {told['million_state_bytes'] / 2**30:.1f} GiB of JSON."
    )
    return f"""# Precomputed slates

{told["catalogue"]:,} items, slates of {told["slate_items"]}, {told["machine"]["cores"]} cores.

| way | users/s | times bare |
|---|---:|---:|
{table}

{sentence}
"""


def _shuffled(world: World) -> list[str]:
    users = list(world.users)
    random.Random(1).shuffle(users)
    return users


def _total(world: World) -> int:
    from slate.recommend.opened import USERS
    from slate.recommend.users import UserStore

    return len(UserStore(world.folder / USERS))


def _wait(connection: Any, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            connection.request("GET", "/v1/models/recommender")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return
        except OSError:
            connection.close()
        time.sleep(0.2)
    raise RuntimeError(f"the server is not ready: {log.read_text(encoding='utf-8')[-2000:]}")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000, help="items of the catalogue")
    parser.add_argument("--users", type=int, default=20_000, help="users whose slates are computed ahead")
    parser.add_argument("--slate", type=int, default=100, help="items of a slate")
    parser.add_argument("--sizes", type=_numbers, default=[64, 256, 1024], help="users at once, by commas")
    parser.add_argument("--workers", type=_numbers, default=[1, 2], help="processes, by commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long one by one is measured")
    parser.add_argument("--price", type=float, help="of this machine for an hour, in any currency")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/slate/bench")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    return parser.parse_args(words)


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    given = _arguments()
    world = synthetic(Size(given.items, max(given.users, 500)), given.cache, print)
    with tempfile.TemporaryDirectory(prefix="slate-precompute-") as folder:
        work = Path(folder)
        found: dict[str, Any] = {"http": over_http(world, given.slate, given.seconds, work)}
        print("http", found["http"], flush=True)
        found["one_by_one"] = one_by_one(world, given.slate, given.seconds)
        print("one by one", found["one_by_one"], flush=True)
        found["batch"] = []
        for workers in given.workers:
            for size in given.sizes:
                one = in_batches(world, given.slate, size, workers, given.users, work)
                found["batch"].append({"size": size, "workers": workers, **one})
                print("batch", found["batch"][-1], flush=True)
    told = report(given, found)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "precompute.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (given.out / "precompute.md").write_text(markdown(told), encoding="utf-8")
    print(markdown(told))


if __name__ == "__main__":
    main()
