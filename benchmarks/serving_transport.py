"""What the HTTP transport costs: this server against stock KServe, both answering nothing.

Both servers run one after the other on one core, the client on another; the slate is the same fixed one.
Each is asked by as many connections as given, each sending its next request when it has its answer (a
closed loop), for some seconds, in turns; the median of the rounds counts.

    python benchmarks/serving_transport.py --out benchmarks/results/serving_transport.json
"""

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BODY = b'{"instances":[{"user_id":"user-000001","k":10}]}'


class FixedEngine:
    """Always the same slate of ten."""

    ready = True
    release_id = "fixed"
    variant = "stable"

    def __init__(self) -> None:
        from slate.recommend.engine import Answer
        from slate.recommend.request import Slate, SlateItem

        items = tuple(SlateItem(f"item-{i:07d}", 1 / i, i, "two_tower") for i in range(1, 11))
        self.answer = Answer(Slate("user-000001", items, "personalised", "fixed"), "stable", "v1.k.token")

    async def recommend(self, requests: Sequence[Any], deadline_ms: float | None = None) -> list[Any]:
        del deadline_ms
        return [self.answer] * len(requests)

    async def score(self, requests: Sequence[Any]) -> list[Any]:
        raise NotImplementedError(f"{len(requests)} rankings")


def serve_slate(port: int) -> None:
    """This server, with an engine that does nothing."""
    from serving.server import Server
    from serving.state import State
    from slate.config import ServingConfig

    config = ServingConfig(http_port=port, grpc_port=port + 1, drain_s=0)
    Server(State(FixedEngine(), config)).run()


def serve_stock(port: int) -> None:
    """KServe as its documentation shows it, echoing the same fixed answer."""
    sys.argv = sys.argv[:1]
    from kserve import Model, ModelServer

    from serving.service import answer_dict

    fixed = {"predictions": [answer_dict(FixedEngine().answer)]}

    class Echo(Model):
        def __init__(self) -> None:
            super().__init__("recommender")
            self.ready = True

        async def predict(self, *_: Any) -> Any:
            return fixed

    ModelServer(http_port=port, grpc_port=port + 1).start([Echo()])


def load(port: int, connections: int, seconds: float) -> dict[str, float]:
    """A closed loop over raw sockets: requests a second, and latencies in milliseconds."""
    import asyncio

    import uvloop

    request = (
        b"POST /v1/models/recommender:predict HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
    )
    latencies: list[float] = []

    class Client(asyncio.Protocol):
        until = 0.0

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.rest = b""
            self._ask()

        def _ask(self) -> None:
            self.began = time.perf_counter()
            self.transport.write(request)

        def data_received(self, data: bytes) -> None:
            self.rest += data
            head, found, body = self.rest.partition(b"\r\n\r\n")
            if not found:
                return
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(body) < length:
                return
            assert head.startswith(b"HTTP/1.1 200"), self.rest
            now = time.perf_counter()
            latencies.append(now - self.began)
            self.rest = b""
            if now < self.until:
                self._ask()
            else:
                self.transport.close()

    async def run(duration: float) -> float:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        Client.until = began + duration
        for _ in range(connections):
            await loop.create_connection(Client, "127.0.0.1", port)
        await asyncio.sleep(duration + 0.2)
        return duration

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(1.0))
        latencies.clear()
        took = runner.run(run(seconds))
    ordered = sorted(latencies)
    return {
        "requests_per_s": len(ordered) / took,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[len(ordered) * 99 // 100],
    }


def child(*words: object, core: int, log: Path | None = None) -> "subprocess.Popen[bytes]":
    """This file as a process on one core."""
    sink = subprocess.DEVNULL if log is None else log.open("wb")
    command = ["taskset", "-c", str(core), sys.executable, __file__, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.PIPE if log is None else sink
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=sink)


def wait(port: int) -> None:
    """Until a server is live."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/live", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


def free_port() -> int:
    """A port whose successor is free too, most likely."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(connections: int, seconds: float, rounds: int, logs: Path) -> dict[str, Any]:
    """Both servers in turns; medians and their ratio."""
    ports = {"slate": free_port(), "stock": free_port()}
    servers = {kind: child(kind, port, core=0, log=logs / f"{kind}.log") for kind, port in ports.items()}
    try:
        for port in ports.values():
            wait(port)
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in ports}
        for _ in range(rounds):
            for kind, port in ports.items():
                client = child("load", port, connections, seconds, core=1)
                found[kind].append(json.loads(client.communicate()[0]))
    finally:
        for server in servers.values():
            server.send_signal(signal.SIGTERM)
        for server in servers.values():
            server.wait(30)
    medians = {
        kind: {name: round(statistics.median(r[name] for r in runs), 3) for name in runs[0]}
        for kind, runs in found.items()
    }
    ratio = medians["slate"]["requests_per_s"] / medians["stock"]["requests_per_s"]
    return {"connections": connections, **medians, "ratio": round(ratio, 2)}


def main() -> None:
    if sys.argv[1:2] == ["slate"]:
        serve_slate(int(sys.argv[2]))
    elif sys.argv[1:2] == ["stock"]:
        serve_stock(int(sys.argv[2]))
    elif sys.argv[1:2] == ["load"]:
        print(json.dumps(load(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--connections", type=int, nargs="*", default=[1, 16])
        parser.add_argument("--seconds", type=float, default=5)
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--logs", type=Path, default=Path("/tmp"))  # noqa: S108
        parser.add_argument("--out", type=Path)
        given = parser.parse_args()
        runs = [measure(count, given.seconds, given.rounds, given.logs) for count in given.connections]
        text = json.dumps({"python": platform.python_version(), "runs": runs}, indent=2)
        print(text)
        if given.out:
            given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
