"""BentoML with its adaptive batching; ``bentoml serve`` starts it on this file's service.

python -m benchmarks.serving.servers.bentoml_server PORT
"""

import os
import sys
from typing import Any

import bentoml

from benchmarks.serving.servers.graph import MOST, Graph

#: BentoML refuses what it expects to take longer.
_LATENCY_MS = 1_000


@bentoml.service(workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Recommender:
    def __init__(self) -> None:
        self._graph = Graph()

    @bentoml.api(batchable=True, max_batch_size=MOST, max_latency_ms=_LATENCY_MS, route="/predict")
    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._graph.answers(instances)


def main() -> None:
    command = [sys.executable, "-m", "bentoml", "serve", f"{__spec__.name}:Recommender"]
    os.execv(sys.executable, [*command, "--port", sys.argv[1], "--host", "127.0.0.1"])  # noqa: S606


if __name__ == "__main__":
    main()
