"""The serving path, from request JSON to what the released models are given, and what they answer."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import slate
from slate.litert.function import LiteFunction
from slate.recommend.recommender import Recommender
from slate.recommend.request import Interaction, Request
from tests.features.over_http import PREDICT, instance

BATCH = 256


class Recorder:
    """Stands before one function of a released model: passes calls on and keeps what went through."""

    def __init__(self, function: LiteFunction) -> None:
        self._function = function
        self.calls: list[dict[str, np.ndarray]] = []

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        answer = self._function(arrays)
        self.calls.append({**{name: np.asarray(array) for name, array in arrays.items()}, **answer})
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)


class Serving:
    """A sealed release, verified and opened as a server opens it, that answers requests.

    :meth:`serve_features` is the whole surface that the tests use. With a client, requests go over HTTP to
    a server of this process, so that what its models are given can be seen.
    """

    client: httpx.Client | None = None

    def __init__(self, release: Path) -> None:
        self.recommender: Recommender = slate.open_release(str(release))
        encoder, ranker = self.recommender.encoder, self.recommender.ranker
        self._tower = Recorder(encoder._embed)
        self._ranker = Recorder(ranker._score)
        self.lengths = {"tower": encoder.length, "ranker": ranker.length}
        # Both are frozen.
        vars(encoder)["_embed"] = self._tower
        vars(ranker)["_score"] = self._ranker

    def serve_features(self, requests: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        """What ``tower`` and ``ranker`` were given and answered for JSON requests, one row a request.

        A request has user_id, at, context and perhaps history (objects of item_id, event and at).
        """
        chunks = [self._serve(requests[start : start + BATCH]) for start in range(0, len(requests), BATCH)]
        return {
            model: {name: np.concatenate([c[model][name] for c in chunks]) for name in chunks[0][model]}
            for model in chunks[0]
        }

    def last(self, model: str) -> dict[str, np.ndarray]:
        """What went through ``tower`` or ``ranker`` most recently."""
        return {"tower": self._tower, "ranker": self._ranker}[model].calls[-1]

    def _serve(self, requests: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        self._tower.calls.clear()
        self._ranker.calls.clear()
        if self.client is None:
            self.recommender.rank([self.recommender.ask(read_request(text)) for text in requests])
        else:
            answer = self.client.post(PREDICT, json={"instances": [instance(text) for text in requests]})
            assert answer.status_code == 200, answer.text[:500]
            assert len(answer.json()["predictions"]) == len(requests)
        recorded = {}
        for model, recorder in (("tower", self._tower), ("ranker", self._ranker)):
            # A model is called for some requests at a time.
            calls = [_as_asked(call, self.lengths[model]) for call in recorder.calls]
            joined = {name: np.concatenate([call[name] for call in calls]) for name in calls[0]}
            recorded[model] = {name: array[: len(requests)] for name, array in joined.items()}
        return recorded


def inputs_of(recorded: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The features of a query alone, without candidates and answers."""
    sides = ("history_", "user_", "context_")
    return {name: array for name, array in recorded.items() if name.startswith(sides)}


def read_request(text: str) -> Request:
    """A request from its JSON."""
    body = json.loads(text)
    history = body.get("history")
    if history is not None:
        history = [
            Interaction(each["item_id"], each["event"], datetime.fromisoformat(each["at"]))
            for each in history
        ]
    return Request(
        user_id=body.get("user_id"),
        history=history,
        context=body.get("context", {}),
        at=datetime.fromisoformat(body["at"]),
    )


def _as_asked(call: Mapping[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Without what was looked up in tables; histories padded on the left, which the tower does without."""
    return {
        name: np.pad(array, ((0, 0), (length - array.shape[1], 0))) if name.startswith("history_") else array
        for name, array in call.items()
        if not name.endswith("_vectors")
    }
