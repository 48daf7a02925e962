"""Small logs and targets with answers that can be worked out by hand."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from slate.data.sequences import History, UserLog
from slate.data.vocabulary import IdMap
from slate.evaluation.targets import Targets


def _history(items: Sequence[int], start: int = 0) -> History:
    n = len(items)
    return History(np.array(items, np.int32), np.ones(n, np.int16), start + np.arange(n, dtype=np.int64))


def _log(by_user: Mapping[str, Sequence[int]], events: Sequence[int] | None = None) -> UserLog:
    lengths = [len(items) for items in by_user.values()]
    n = sum(lengths)
    return UserLog(
        users=IdMap.of(list(by_user)),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=np.array([i for items in by_user.values() for i in items], np.int32),
        events=np.ones(n, np.int16) if events is None else np.array(events, np.int16),
        times=np.concatenate([np.arange(length) for length in lengths] or [[]]).astype(np.int64),
        values=np.full(n, np.nan, np.float32),
        weights=np.ones(n, np.float32),
        context={},
    )


def _targets(rows: Sequence[tuple[str, int, Sequence[int]]]) -> Targets:
    return Targets(
        user_ids=tuple(user for user, _, _ in rows),
        items=np.array([item for _, item, _ in rows], np.int32),
        times=1_000_000 * np.arange(10, 10 + len(rows), dtype=np.int64),
        histories=tuple(_history(history) for _, _, history in rows),
        rows=np.arange(len(rows), dtype=np.int64),
    )


@pytest.fixture(scope="session")
def history() -> Callable[..., History]:
    return _history


@pytest.fixture(scope="session")
def user_log() -> Callable[..., UserLog]:
    """A log from user id to item rows, oldest first."""
    return _log


@pytest.fixture(scope="session")
def make_targets() -> Callable[..., Targets]:
    """Targets from (user id, item row, item rows before), a second apart."""
    return _targets
