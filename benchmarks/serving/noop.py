"""What the transport costs: this server against stock KServe, both answering the same fixed slate of ten.

python -m benchmarks.serving.noop (slate | kserve) PORT
"""

import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from benchmarks.serving.contenders import SLATE, STOCK, free_port
from benchmarks.serving.drive import Bench
from benchmarks.serving.environments import ROOT
from benchmarks.serving.generator import Spec

_BODY: Final = '{"instances":[{"user_id":"user-000001","k":10}]}'
_PATH: Final = "/v1/models/recommender:predict"
_CONNECTIONS: Final = (1, 16)
_POLLS: Final = 600


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

    def refuses(self, _requests: int) -> None:
        """There is always room."""

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
    sys.argv = sys.argv[:1]  # KServe reads the command line when it is imported.
    from kserve import Model, ModelServer

    from serving.service import answer_dict

    fixed = {"predictions": [answer_dict(FixedEngine().answer)]}

    class Echo(Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("recommender")
            self.ready = True

        async def predict(self, *_: Any) -> Any:
            return fixed

    ModelServer(http_port=port, grpc_port=port + 1).start([Echo()])


def measure(bench: Bench, rounds: int, seconds: float) -> dict[str, Any]:
    """Requests a second of both by connections, medians of interleaved rounds, and their ratios.

    A closed loop: with nothing to compute there is no queue whose waits it could hide.
    """
    ports = {name: free_port() for name in (SLATE, STOCK)}
    servers = {name: _start(bench, name, port) for name, port in ports.items()}
    try:
        for port in ports.values():
            _wait(port)
        return {f"connections_{n}": _compare(bench, ports, n, rounds, seconds) for n in _CONNECTIONS}
    finally:
        for server in servers.values():
            server.send_signal(signal.SIGTERM)
        for server in servers.values():
            server.wait(30)


def _compare(
    bench: Bench, ports: dict[str, int], connections: int, rounds: int, seconds: float
) -> dict[str, Any]:
    found: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(rounds):
        for name, port in ports.items():
            spec = Spec(port, _PATH, [_BODY], closed=connections, seconds=seconds, marker="personalised")
            bench.ask(replace(spec, seconds=seconds / 3))
            found[name].append(float(bench.ask(spec).good.sum()) / seconds)
    medians = {name: round(statistics.median(rates), 1) for name, rates in found.items()}
    return {**medians, "ratio": round(medians[SLATE] / medians[STOCK], 2), "rounds": rounds}


def _start(bench: Bench, name: str, port: int) -> "subprocess.Popen[bytes]":
    command = ["taskset", "-c", bench.server_core, sys.executable, "-m", "benchmarks.serving.noop", name]
    with (bench.work / f"noop-{name}.log").open("wb") as sink:
        return subprocess.Popen([*command, str(port)], cwd=ROOT, stdout=sink, stderr=sink)


def _wait(port: int) -> None:
    for _ in range(_POLLS):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/live", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


def main() -> None:
    {SLATE: serve_slate, STOCK: serve_stock}[sys.argv[1]](int(sys.argv[2]))


if __name__ == "__main__":
    main()
