"""From HTTP to Parquet: the sustained rate of the events loop, and how long ten times that traffic drains.

``slate events serve`` and ``slate events consume`` run as they do in production, events durable through a
power failure before they are answered; clients send them over HTTP, every other one an outcome with a signed
exposure id. All share the processor cores that the command is given. First clients send as fast as they are
answered, and the time until all is in Parquet is taken: the sustained rate. Then a burst comes, ``--burst``
seconds of ten times ``--base`` events a second, and the time from its beginning until all of it is in Parquet
is taken. At the end the rows in the files are counted. From the repository, in less than two minutes:

    taskset -c 0,1 python benchmarks/feedback.py --out benchmarks/results/feedback.json

A quick look, with ``--store redis`` for the other store:

    python benchmarks/feedback.py --quick
"""

import argparse
import base64
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import pyarrow.parquet as pq
import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from slate.clock import isoformat  # noqa: E402
from slate.config import FeedbackConfig  # noqa: E402
from slate.feedback.consumer import LOG  # noqa: E402
from slate.feedback.endpoint.keys import VARIABLE as KEYS  # noqa: E402
from slate.feedback.open import VARIABLE, open_queue  # noqa: E402
from slate.feedback.queue import EVENTS, Queue  # noqa: E402
from slate.feedback.signing import VARIABLE as SIGNING  # noqa: E402
from slate.feedback.signing import Signer  # noqa: E402
from tests.feedback.killable import Program  # noqa: E402
from tests.feedback.stores import RedisProcess, free_port  # noqa: E402

BATCH: Final = 100
CLIENTS: Final = 4
USERS: Final = 10_000
ITEMS: Final = 5_000
LIMIT_SECONDS: Final = 60.0
SECRET: Final = "the-secret-of-the-shop"  # noqa: S105 (of this run alone)
SIGNATURE: Final = b"a signing key of the shop"
QUICK: Final = {"events": 5_000, "base": 200, "burst": 3}


@dataclass(frozen=True)
class Loop:
    """A running endpoint and consumer, and the queue between them."""

    port: int
    queue: Queue
    log: Path

    def send(self, bodies: Sequence[bytes], per_second: float | None = None) -> list[float]:
        """Send all requests from several connections; how long each took, in seconds.

        Args:
            per_second: requests that begin in a second, at most; None is as fast as they are answered.
        """
        began = time.perf_counter()

        def share(part: int) -> list[float]:
            took = []
            connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
            headers = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}
            for place in range(part, len(bodies), CLIENTS):
                if per_second is not None:
                    time.sleep(max(0.0, began + place / per_second - time.perf_counter()))
                start = time.perf_counter()
                connection.request("POST", "/v1/events", bodies[place], headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
                assert response.status == 202, answer
                assert answer["accepted"] == bodies[place].count(b'"event_id"'), answer
                took.append(time.perf_counter() - start)
            connection.close()
            return took

        with ThreadPoolExecutor(CLIENTS) as threads:
            return [seconds for part in threads.map(share, range(CLIENTS)) for seconds in part]

    def until_written(self) -> None:
        """Wait until the consumer has written all that was accepted."""
        while self.queue.depth(EVENTS, LOG):
            time.sleep(0.05)

    def rows(self, folder: str) -> int:
        """How many rows a folder of the log has."""
        return sum(pq.read_metadata(file).num_rows for file in (self.log / folder).rglob("*.parquet"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", choices=["sqlite", "redis"], default="sqlite")
    parser.add_argument("--durability", choices=["power", "process"], default="power")
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--base", type=int, default=500, help="events a second before the burst")
    parser.add_argument("--burst", type=int, default=10, help="seconds of the burst")
    parser.add_argument("--quick", action="store_true", help="Little of each.")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.quick:
        vars(arguments).update(QUICK)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(arguments, Path(folder))
    text = json.dumps(measured, indent=2) + "\n"
    print(text, end="")
    if arguments.out:
        arguments.out.write_text(text)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both measurements on one fresh store."""
    load = os.getloadavg()[0]
    os.environ.pop(VARIABLE, None)
    redis = None
    if arguments.store == "redis":
        redis = RedisProcess(folder / "redis", "always" if arguments.durability == "power" else "no")
        os.environ[VARIABLE] = redis.url
    config = FeedbackConfig(
        port=free_port(),
        state=str(folder / "state.db"),
        durability=arguments.durability,
        batch_s=1.0,
        user_events_per_hour=10_000_000,
        key_events_per_s=10_000_000,
        drain_s=0.0,
    )
    endpoint, consumer = started(config, folder)
    loop = Loop(config.port, open_queue(config), folder / "log")
    try:
        until_ready(config.port)
        consumer.until_at_work()
        loop.send(bodies_of("warm", 1_000))
        loop.until_written()
        sustained = sustain(loop, arguments.events)
        burst = burst_of(loop, arguments.base, arguments.burst)
        endpoint.end()
        consumer.end()
        total = 1_000 + sustained["events"] + burst["events"]
        assert loop.rows("events") == total, f"{loop.rows('events')} rows of {total} events"
        assert loop.rows("outcomes") == total // 2
    finally:
        endpoint.kill()
        consumer.kill()
        loop.queue.close()
        if redis is not None:
            redis.kill()
    return {
        "command": " ".join(["python", "benchmarks/feedback.py", *sys.argv[1:]]),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load_before": round(load, 2),
        },
        "store": arguments.store,
        "durability": arguments.durability,
        "clients": CLIENTS,
        "events_per_request": BATCH,
        "sustained": sustained,
        "burst": burst,
    }


def started(config: FeedbackConfig, folder: Path) -> tuple[Program, Program]:
    """The real endpoint and the real consumer."""
    events = {"like": {"weight": 1}}
    dataset = {"name": "shop", "interactions": {"path": "none.csv"}, "items": {"path": "none.csv"}}
    file = folder / "config.yaml"
    file.write_text(
        yaml.safe_dump({"dataset": {**dataset, "events": events}, "feedback": config.model_dump()})
    )
    environment = {
        KEYS: f"shop:{SECRET}:outcomes+organic",
        SIGNING: f"k1:{base64.b64encode(SIGNATURE).decode()}",
    }
    common = ["--config", str(file)]
    consume = ["events", "consume", *common, "--store", str(folder / "log")]
    return (
        Program(folder / "endpoint", ["events", "serve", *common], environment, "events of"),
        Program(folder / "consumer", consume, environment, "consuming"),
    )


def until_ready(port: int) -> None:
    """Wait until the endpoint takes events."""
    until = time.monotonic() + LIMIT_SECONDS
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            assert time.monotonic() < until, "the endpoint does not start"
        finally:
            connection.close()
        time.sleep(0.05)


def sustain(loop: Loop, count: int) -> dict[str, Any]:
    """Send so many events as fast as they are answered."""
    bodies = bodies_of("rate", count)
    began = time.perf_counter()
    took = loop.send(bodies)
    sent = time.perf_counter() - began
    loop.until_written()
    written = time.perf_counter() - began
    return {
        "events": count,
        "acknowledged_per_second": round(count / sent, 1),
        "written_per_second": round(count / written, 1),
        "request_ms": milliseconds(took),
    }


def burst_of(loop: Loop, base: int, seconds: int) -> dict[str, Any]:
    """Send ten times the base rate for so long, or as fast as it is answered."""
    count = 10 * base * seconds
    bodies = bodies_of("burst", count)
    began = time.perf_counter()
    took = loop.send(bodies, 10 * base / BATCH)
    sent = time.perf_counter() - began
    loop.until_written()
    drained = time.perf_counter() - began
    return {
        "events": count,
        "base_per_second": base,
        "asked_per_second": 10 * base,
        "acknowledged_seconds": round(sent, 2),
        "drained_seconds": round(drained, 2),
        "limit_seconds": LIMIT_SECONDS,
        "within_limit": drained <= LIMIT_SECONDS,
        "request_ms": milliseconds(took),
    }


def bodies_of(mark: str, count: int) -> list[bytes]:
    """Requests of :data:`BATCH` events each, every other one an outcome."""
    signer, at = Signer({"k1": SIGNATURE}), isoformat(datetime.now(UTC))
    events = []
    for number in range(count):
        user, item = f"user-{number * 7919 % USERS}", f"item-{number * 31 % ITEMS}"
        event = {"schema": 1, "event_id": f"{mark}-{number}", "user_id": user, "item_id": item}
        event |= {"event": "like", "timestamp": at}
        if number % 2:
            event["exposure_id"] = signer.sign(user, "r-1", "stable")
        events.append(event)
    return [json.dumps(events[first : first + BATCH]).encode() for first in range(0, count, BATCH)]


def milliseconds(took: Sequence[float]) -> dict[str, float]:
    """The median and the 99th percentile."""
    cuts = quantiles(took, n=100)
    return {"median": round(1000 * cuts[49], 2), "p99": round(1000 * cuts[98], 2)}


if __name__ == "__main__":
    main()
