"""Small logs and targets with answers that can be worked out by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from slate.data.sequences import History, UserLog
from slate.data.vocabulary import IdMap
from slate.evaluation.targets import Targets
from slate.ranking.explain.record import Band, Curve, Effect, Explanations, Importance


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


def _explanations(word: str = "", curves: int = 0) -> Explanations:
    """Two inputs, both together, and a curve of each scale; ``word`` ends up in every name."""

    def importance(name: str, inputs: Sequence[str], ndcg: float, log_loss: float) -> Importance:
        return Importance(
            group=f"item{word}",
            name=name + word,
            inputs=tuple(inputs),
            ndcg=Effect(value=ndcg, low=ndcg - 0.05, high=ndcg + 0.05),
            log_loss=Effect(value=log_loss, low=None, high=None),
        )

    def curve(name: str, scale: Any, values: Sequence[float | str], peak: float = 0.2) -> Curve:
        mean = tuple(float(m) for m in np.linspace(0.1, peak, len(values)))
        band = Band(mean=mean, low=tuple(m / 2 for m in mean), high=tuple(2 * m for m in mean))
        return Curve(
            group="item",
            name=name + word,
            scale=scale,
            values=tuple(values),
            rows=40,
            score=band,
            probability=band,
        )

    return Explanations(
        model="multitask",
        requests=40,
        users=12,
        with_positive=31,
        k=10,
        repeats=3,
        ndcg=0.4321,
        log_loss=0.0987,
        importance=(
            importance("noise", ["noise"], 0.001, 0.00002),
            importance("price", ["price"], 0.25, 0.0123),
            importance("everything", ["noise", "price"], 0.3, 0.02),
        ),
        curves=(
            curve("price", "number", [1.0, 2.5, 4.0]),
            curve("released", "instant", [0.0, 7_305.0, 14_610.0], 0.21),
            curve("popularity", "count", [0.0, 10.0, 2_000.0], 0.5),
            curve("since", "duration", [1.0, 90.0, 200_000.0]),
            curve("length", "count", [0.0, 1.0, 2.0]),
            curve("genre", "category", [f"drama{word}", "$\\bad", "戦争"], 0.4),
            *(curve(f"number {n}", "number", [float(n), n + 1.0], 0.11) for n in range(curves)),
        ),
        seconds=2.5,
    )


@pytest.fixture(scope="session")
def make_explanations() -> Callable[..., Explanations]:
    return _explanations
