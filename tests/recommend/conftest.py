"""Requests in model terms, made by hand."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from slate.data.sequences import History
from slate.recommend.stages.records import Ask
from slate.retrieval.query import Query

MakeAsk = Callable[..., Ask]


@pytest.fixture(scope="session")
def make_ask() -> MakeAsk:
    """Make one from a history of catalogue rows and what may not be shown; see the arguments."""

    def make(
        items: Sequence[int] = (),
        events: Sequence[int] | None = None,
        times: Sequence[int] | None = None,
        *,
        at: int = 1_000_000,
        seen: Sequence[int] | None = None,
        excluded: Sequence[int] = (),
        blocked: Sequence[int] = (),
        user: Mapping[str, object] | None = None,
        context: Mapping[str, object] | None = None,
        seed: int = 0,
    ) -> Ask:
        history = History(
            np.asarray(items, np.int32),
            np.asarray([1] * len(items) if events is None else events, np.int16),
            np.asarray(range(len(items)) if times is None else times, np.int64),
        )
        return Ask(
            query=Query(history, at, user or {}, context or {}),
            seen=np.unique(np.asarray(items if seen is None else seen, np.int32)),
            excluded=np.asarray(sorted(excluded), np.int32),
            ignored=(),
            blocked=np.asarray(sorted(blocked), np.int32),
            seed=seed,
        )

    return make
