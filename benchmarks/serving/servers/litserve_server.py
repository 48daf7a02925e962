"""LitServe, batching as it offers to: requests that come within the wait are answered together.

python -m benchmarks.serving.servers.litserve_server PORT
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import litserve

from benchmarks.serving.servers.graph import MOST, WAIT_S, Graph


class Recommender(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        del device
        self._graph = Graph()

    def decode_request(self, request: Mapping[str, Any]) -> Any:
        return request["instances"][0]

    def batch(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return inputs

    def predict(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return self._graph.answers(inputs)

    def unbatch(self, output: Sequence[Any]) -> Sequence[Any]:
        return output

    def encode_response(self, output: Any) -> Any:
        return {"predictions": [output]}


def main() -> None:
    api = Recommender(max_batch_size=MOST, batch_timeout=WAIT_S, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
