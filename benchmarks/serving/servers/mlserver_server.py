"""MLServer with its adaptive batching, inference in the server's own process.

    python -m benchmarks.serving.servers.mlserver_server PORT

A request is one BYTES input of user ids; the answer is one BYTES output, each element a slate in JSON.
"""

import asyncio
import json
import sys

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import StringCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving.servers.graph import MOST, WAIT_S, Graph


class Recommender(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        self._graph = Graph()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        users = StringCodec.decode_input(payload.inputs[0])
        slates = self._graph.answers([{"user_id": user, "k": 10} for user in users])
        output = StringCodec.encode_output("slates", [json.dumps(slate) for slate in slates])
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])


async def serve(port: int) -> None:
    settings = Settings(
        http_port=port,
        grpc_port=port + 1,
        metrics_port=port + 2,
        metrics_endpoint=None,
        host="127.0.0.1",
        parallel_workers=0,
        use_structured_logging=False,
        debug=False,
    )
    server = MLServer(settings)
    model = ModelSettings(
        name="recommender",
        implementation=Recommender,
        max_batch_size=MOST,
        max_batch_time=WAIT_S,
        parameters=ModelParameters(),
    )
    await server.start([model])


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
