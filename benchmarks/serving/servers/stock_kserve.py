"""KServe's model server as its documentation shows it: a predictor with a plain, synchronous ``predict``.

python -m benchmarks.serving.servers.stock_kserve PORT
"""

import sys
from typing import Any

from benchmarks.serving.servers.graph import Graph


def main() -> None:
    port = int(sys.argv[1])
    sys.argv = sys.argv[:1]  # KServe reads the command line when it is imported.
    from kserve import Model, ModelServer

    class Recommender(Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("recommender")
            self._graph = Graph()
            self.ready = True

        def predict(self, payload: Any, *_: Any, **__: Any) -> Any:
            return {"predictions": self._graph.answers(payload["instances"])}

    ModelServer(http_port=port, enable_grpc=False).start([Recommender()])


if __name__ == "__main__":
    main()
