"""From an accepted event to Parquet: the sustained rate, and how long ten times that rate takes to drain.

Producers append events in batches, as the endpoint does, while one consumer process writes histories and
files; both share the cores that the command is given. First the producers send as fast as the queue takes
them, and the time until all is in Parquet is taken: the sustained rate. Then a burst comes at once, of ten
times as many as ``--base`` events a second are in ``--burst`` seconds, until all of it is in Parquet.

    taskset -c 0,1 python benchmarks/feedback.py --store sqlite --out benchmarks/results/feedback.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BATCH = 100
PRODUCERS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", choices=["sqlite", "redis"], default="sqlite")
    parser.add_argument("--durability", choices=["power", "process"], default="power")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--base", type=int, default=1000, help="events a second before the burst")
    parser.add_argument("--burst", type=int, default=10, help="seconds of the burst")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(arguments, Path(folder))
    text = json.dumps(measured, indent=2) + "\n"
    print(text, end="")
    if arguments.out:
        arguments.out.write_text(text)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both measurements on one fresh store."""
    sys.path.insert(0, str(ROOT))
    from slate.config import FeedbackConfig
    from slate.feedback.open import VARIABLE
    from tests.feedback.stores import RedisProcess

    config = FeedbackConfig(state=str(folder / "state.db"), durability=arguments.durability)
    os.environ.pop(VARIABLE, None)
    redis = None
    if arguments.store == "redis":
        redis = RedisProcess(folder / "redis", "always" if arguments.durability == "power" else "no")
        os.environ[VARIABLE] = redis.url
    program = [sys.executable, "-m", "tests.feedback.programs", "consumer", config.model_dump_json()]
    consumer = subprocess.Popen(
        [*program, str(folder / "log")], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert consumer.stdin is not None
    consumer.stdin.write("bench\n")
    consumer.stdin.flush()
    try:
        send(config, "warm", 500)
        until_written(config)
        rate = timed(config, "rate", arguments.events)
        burst = timed(config, "burst", 10 * arguments.base * arguments.burst)
    finally:
        consumer.terminate()
        consumer.wait(60)
        if redis is not None:
            redis.kill()
    return {
        "command": " ".join(["python", "benchmarks/feedback.py", *sys.argv[1:]]),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
        },
        "load_before": os.getloadavg()[0],
        "store": arguments.store,
        "durability": arguments.durability,
        "producers": PRODUCERS,
        "batch": BATCH,
        "sustained": rate,
        "burst": burst,
    }


def timed(config: Any, mark: str, count: int) -> dict[str, float]:
    """Send so many events as fast as they are taken, and wait until all are in Parquet."""
    began = time.perf_counter()
    send(config, mark, count)
    sent = time.perf_counter() - began
    until_written(config)
    took = time.perf_counter() - began
    return {
        "events": count,
        "append_seconds": round(sent, 2),
        "appended_per_second": round(count / sent, 1),
        "drained_seconds": round(took, 2),
        "written_per_second": round(count / took, 1),
    }


def send(config: Any, mark: str, count: int) -> None:
    """Append events from several threads, as an endpoint with as many requests in flight."""
    from slate.feedback.open import open_queue
    from slate.feedback.queue import EVENTS
    from tests.feedback.written import event

    queue = open_queue(config)
    starts = list(range(0, count, BATCH))

    def produce(own: list[int]) -> None:
        for start in own:
            names = [f"{mark}-{number}" for number in range(start, min(start + BATCH, count))]
            records = [event(name, user=f"user-{hash(name) % 10_000}") for name in names]
            queue.append(EVENTS, records, names)

    threads = [threading.Thread(target=produce, args=(starts[part::PRODUCERS],)) for part in range(PRODUCERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.close()


def until_written(config: Any) -> None:
    """Wait until the consumer has acknowledged all that was appended."""
    from slate.feedback.consumer import LOG
    from slate.feedback.open import open_queue
    from slate.feedback.queue import EVENTS

    queue = open_queue(config)
    while queue.depth(EVENTS, LOG):
        time.sleep(0.05)
    queue.close()


if __name__ == "__main__":
    main()
