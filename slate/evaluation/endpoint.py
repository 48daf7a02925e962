"""A running server as a ranker: each target becomes one request, with the history before it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import requests

from slate import columns
from slate.clock import from_microseconds, isoformat
from slate.data.vocabulary import IdMap
from slate.errors import DataError, SlateError
from slate.evaluation.measure import Ranker
from slate.evaluation.metrics import PADDING
from slate.evaluation.targets import Targets

PREDICT: Final = "/v1/models/recommender:predict"
USER_HEADER: Final = "x-slate-user-id"
_TIMEOUT: Final = 30.0


class EndpointError(SlateError):
    """A server did not answer an evaluation's request as it must."""

    exit_code = 8


def endpoint_ranker(url: str, items: IdMap, events: Sequence[str], table: pa.Table) -> Ranker:
    """Rankings from ``POST <url>/v1/models/recommender:predict``.

    The history travels in the request, so that the server answers for the instant of the target; that
    instant is ``context.timestamp``. Items of the answer that the evaluation does not know are left out.

    Args:
        url: where the server listens, without a path.
        items: the evaluation's item map.
        events: event names by code - 1, in which the targets' histories are.
        table: the targets' table, for context columns.

    Raises:
        EndpointError: when asked: the server is not there, or its answer is not a slate.
    """
    names = [n for n in table.column_names if n not in columns.INTERACTION_COLUMNS]
    contexts = table.select(names).to_pylist() if names else [{}] * table.num_rows
    session = requests.Session()

    def rank(targets: Targets, k: int) -> npt.NDArray[np.int32]:
        ranked = np.full((len(targets), k), PADDING, np.int32)
        for place, user in enumerate(targets.user_ids):
            history = targets.histories[place]
            instance = {
                "user_id": user,
                "k": k,
                "history": [
                    {
                        "item_id": items.ids[item],
                        "event": events[event - 1],
                        "timestamp": isoformat(from_microseconds(time)),
                    }
                    for item, event, time in zip(*history, strict=True)
                ],
                "context": {
                    **_json(contexts[int(targets.rows[place])]),
                    columns.TIMESTAMP: isoformat(from_microseconds(int(targets.times[place]))),
                },
            }
            rows = items.known_rows(_ask(session, url, user, instance))[:k]
            ranked[place, : len(rows)] = rows
        return ranked

    return rank


def _ask(session: requests.Session, url: str, user: str, instance: Mapping[str, Any]) -> list[str]:
    target = url.rstrip("/") + PREDICT
    try:
        response = session.post(
            target,
            json={"instances": [instance]},
            headers={USER_HEADER: user.encode().decode("latin-1")},
            timeout=_TIMEOUT,
        )
    except requests.RequestException as error:
        raise EndpointError(f"endpoint {url}: cannot be reached ({error}); is the server running?") from error
    if response.status_code != 200:
        raise EndpointError(f"endpoint {target}: answered {response.status_code}: {response.text[:300]}")
    try:
        answer = response.json()["predictions"][0]
        return [str(item["item_id"]) for item in answer["items"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"endpoint {target}: the answer is not a slate ({error!r}); is this a Slate recommender?"
        ) from error


def _json(context: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in context.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }
