"""Build the index that fits a catalogue, tune it against exact search, and say what it reaches."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from slate.config import IndexConfig
from slate.errors import ModelError
from slate.retrieval.index.base import CandidateIndex, Float32, IndexKind, checked_vectors
from slate.retrieval.index.exact import ExactIndex
from slate.retrieval.index.scann import ScannIndex

_log = logging.getLogger(__name__)

_LEAF_SHARES: Final = (0.01, 0.015, 0.02, 0.03, 0.045, 0.07, 0.1, 0.15, 0.2, 0.35, 0.6, 1.0)
_REORDERS: Final = (2, 4, 6, 8, 16)
#: Of an exact score, in hashed ones: 48 ns and 3.2 ns in a million candidates of 64 numbers.
_REORDER_COST: Final = 15
_TIMED_QUERIES: Final = 200
_NOISE: Final = 0.5
_MARGIN: Final = 0.01
_TIE: Final = 1e-5


class Latency(NamedTuple):
    """Microseconds a query, one query at a time on one thread."""

    median_us: float
    p99_us: float


@dataclass(frozen=True)
class Point:
    """What one setting reaches: recall against exact search, and its price."""

    parameters: dict[str, int]
    recall: float
    median_us: float
    p99_us: float


@dataclass(frozen=True)
class Built:
    """An index, and what ``index.json`` says about it."""

    index: CandidateIndex
    report: dict[str, Any]


def build_index(
    vectors: Float32, ids: Sequence[str], config: IndexConfig, queries: Float32 | None = None
) -> Built:
    """Build, tune and measure.

    Recall is measured on queries that tuning has not seen, as far as there are enough. A target that
    is out of reach is not an error here: the best setting is kept and the gate reads its recall.

    Args:
        vectors: candidate embeddings, float32 [items, dim], by catalogue row.
        ids: the item ids, in the same order.
        queries: real query embeddings, float32 [n, dim]; candidates with noise where there are none.

    Raises:
        ModelError: there are no candidates, an embedding is not finite, or shapes do not fit.
    """
    vectors = checked_vectors(vectors, None, "candidate embeddings")
    if not len(vectors):
        raise ModelError("index: there are no candidates; the catalogue is empty, so check the items table")
    k = min(config.k, len(vectors))
    exact = ExactIndex(vectors, ids)
    tuning, held_out = _sample_queries(vectors, queries, config)
    kind = choose_kind(len(vectors), config)
    curve: list[Point]
    index: CandidateIndex
    if kind == "exact":
        index, curve = exact, [_point(exact, exact, tuning, k)]
    else:
        scann = ScannIndex.build(vectors, exact.ids, kind, k=k)
        index, curve = _tune(scann, exact, tuning, k, config.recall_target)
    final = _point(index, exact, held_out, k)
    if final.recall < config.recall_target:
        _log.warning(
            "index: recall@%d is %.3f, below the target %.3f, and nothing that was tried reaches it; "
            "lower index.recall_target or build with index.kind=brute_force",
            k,
            final.recall,
            config.recall_target,
        )
    report = {
        "k": k,
        "recall": final.recall,
        "recall_target": config.recall_target,
        "target_reached": final.recall >= config.recall_target,
        "latency": {"median_us": final.median_us, "p99_us": final.p99_us},
        "curve": [asdict(point) for point in curve],
        "queries": {"source": "tower" if queries is not None else "candidates", "measured": len(held_out)},
    }
    return Built(index, report)


def choose_kind(size: int, config: IndexConfig) -> IndexKind:
    """The kind for a catalogue of ``size`` items: what the configuration names, or by size.

    >>> [choose_kind(size, IndexConfig()) for size in (1_682, 50_000, 1_000_000)]
    ['brute_force', 'hashed', 'tree']
    """
    if config.kind != "auto":
        return config.kind
    if size < config.brute_force_below:
        return "brute_force"
    return "hashed" if size < config.hashed_below else "tree"


def recall(found: CandidateIndex, exact: ExactIndex, queries: Float32, k: int) -> float:
    """Mean share of each query's true top k that is found.

    A found candidate counts when its exact score reaches the k-th best one, so that which of several
    equal candidates is returned does not matter.
    """
    truth, answer = exact.search(queries, k), found.search(queries, k)
    shares = np.empty(len(queries))
    for query in range(len(queries)):
        rows, _ = answer.row(query)
        scores = exact.vectors[rows] @ queries[query]
        bar = truth.scores[query, -1]
        shares[query] = np.sum(scores >= bar - _TIE * max(1.0, abs(float(bar)))) / k
    return float(np.mean(np.minimum(shares, 1.0)))


def latency(index: CandidateIndex, queries: Float32, k: int) -> Latency:
    """Search one query after the other and time each."""
    sample = queries[: min(len(queries), _TIMED_QUERIES)]
    index.search(sample[:1], k)
    taken = np.empty(len(sample))
    for place in range(len(sample)):
        started = time.perf_counter()
        index.search(sample[place : place + 1], k)
        taken[place] = time.perf_counter() - started
    return Latency(float(np.median(taken) * 1e6), float(np.percentile(taken, 99) * 1e6))


def _point(index: CandidateIndex, exact: ExactIndex, queries: Float32, k: int) -> Point:
    timed = latency(index, queries, k)
    return Point(dict(index.parameters), recall(index, exact, queries, k), timed.median_us, timed.p99_us)


def _tune(
    index: ScannIndex, exact: ExactIndex, queries: Float32, k: int, target: float
) -> tuple[ScannIndex, list[Point]]:
    """The cheapest setting that reaches the target with a margin, else the best; and all that was tried."""
    if index.kind == "brute_force":
        return index, [_point(index, exact, queries, k)]
    wanted = target + min(_MARGIN, (1.0 - target) / 2)
    tried: list[tuple[ScannIndex, Point]] = []
    for factor in _REORDERS:
        reorder = factor * k
        settings = [index.tuned(reorder=reorder)]
        if index.kind == "tree":
            counts = sorted({max(1, round(share * index.num_leaves)) for share in _LEAF_SHARES})
            settings = [index.tuned(reorder=reorder, leaves=count) for count in counts]
        for setting in settings:
            tried.append((setting, _point(setting, exact, queries, k)))
            if tried[-1][1].recall >= wanted:
                break
        if reorder >= index.size:
            break
    reached = [pair for pair in tried if pair[1].recall >= wanted]
    best = min(reached, key=lambda p: _cost(p[0])) if reached else max(tried, key=lambda p: p[1].recall)
    return best[0], [point for _, point in tried]


def _cost(index: ScannIndex) -> float:
    """About what a search computes, in hashed candidates; a measured time would choose by chance."""
    share = index.leaves / index.num_leaves if index.num_leaves else 1.0
    return share * index.size + _REORDER_COST * index.reorder


def _sample_queries(
    vectors: Float32, queries: Float32 | None, config: IndexConfig
) -> tuple[Float32, Float32]:
    """Queries to tune on and queries to measure on, halves of one sample; the same where it is tiny."""
    rng = np.random.default_rng(config.seed)
    if queries is not None and len(queries):
        given = checked_vectors(queries, vectors.shape[1], "query")
        sample = given[rng.permutation(len(given))[: config.sample]]
    else:
        chosen = vectors[rng.integers(0, len(vectors), config.sample)]
        noise = rng.standard_normal(chosen.shape).astype(np.float32)
        sample = chosen + _NOISE * vectors.std(axis=0) * noise
    half = len(sample) // 2
    return (sample[:half], sample[half:]) if half >= 10 else (sample, sample)
