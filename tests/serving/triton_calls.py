"""``python -m tests.serving.triton_calls http|grpc ADDRESS``: asks a server with tritonclient, prints JSON.

A process of its own, since tritonclient and KServe both define the protocol's messages by the same names.
"""

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from tritonclient.utils import InferenceServerException

FILMS = ["film 03, é", "film 04, é"]


class Caller:
    """One client, over HTTP or gRPC."""

    def __init__(self, transport: str, address: str) -> None:
        self._module: Any = importlib.import_module(f"tritonclient.{transport}")
        self.client = self._module.InferenceServerClient(address)

    def infer(self, model: str, inputs: dict[str, Any], outputs: list[str], **parameters: Any) -> Any:
        """Every output as lists, with its type; binary both ways."""
        given = []
        for name, values in inputs.items():
            array = np.asarray(values, dtype=np.object_)
            array = np.vectorize(str.encode, otypes=[np.object_])(array)
            tensor = self._module.InferInput(name, list(array.shape), "BYTES")
            tensor.set_data_from_numpy(array)
            given.append(tensor)
        wanted = [self._module.InferRequestedOutput(name) for name in outputs]
        found = self.client.infer(model, given, outputs=wanted, parameters=parameters or None)
        arrays = {name: found.as_numpy(name) for name in outputs}
        return {name: [str(each.dtype), _texts(each.tolist())] for name, each in arrays.items()}


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    """How a call is refused."""
    try:
        call()
    except InferenceServerException as error:
        cause: Any = error.__cause__ or error.__context__
        trailing = dict(cause.trailing_metadata()) if hasattr(cause, "trailing_metadata") else {}
        return {"status": error.status(), "message": error.message(), "again": trailing.get("retry-after")}
    return {}


def main() -> None:
    transport, address = sys.argv[1:]
    caller = Caller(transport, address)
    users = ("test:overloaded", "test:draining", "test:unready")
    answers = {
        "probes": [
            caller.client.is_server_live(),
            caller.client.is_server_ready(),
            caller.client.is_model_ready("recommender"),
        ],
        "slates": caller.infer(
            "recommender", {"user_id": ["p1", "", "é"]}, ["item_id", "score", "length", "rung"], k=4
        ),
        "scores": caller.infer(
            "ranker",
            {"item_id": [[*FILMS, "none"], [FILMS[1], "no", FILMS[0]]], "user_id": ["p1", "p2"]},
            ["known", "score"],
        ),
        "refused": {
            user: refused(lambda user=user: caller.infer("recommender", {"user_id": [user]}, ["rung"]))
            for user in users
        },
        "mistakes": [
            refused(lambda: caller.infer("nobody", {"user_id": ["p1"]}, ["rung"])),
            refused(lambda: caller.infer("recommender", {"item_id": ["p1"]}, ["rung"])),
            refused(lambda: caller.infer("recommender", {"user_id": ["p1"]}, ["nothing"])),
            refused(lambda: caller.client.unload_model("recommender")),
        ],
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
