"""Building: the kind by size, tuning to a recall target, and what is said of it."""

import time

import numpy as np
import numpy.typing as npt
import pytest

from slate.config import IndexConfig
from slate.errors import ModelError
from slate.retrieval.index import ExactIndex, SearchResult, build_index
from slate.retrieval.index.build import recall


def clustered(count: int, dim: int, clusters: int, seed: int) -> npt.NDArray[np.float32]:
    """Vectors around Gaussian centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dim), dtype=np.float32)
    near = rng.standard_normal((count, dim), dtype=np.float32) * np.float32(0.3)
    return centres[rng.integers(0, clusters, count)] + near


def ids_of(count: int) -> list[str]:
    return [str(row) for row in range(count)]


class Fixed(ExactIndex):
    """Answers every query with the same rows, to measure recall by hand."""

    def __init__(self, exact: ExactIndex, rows: list[int]) -> None:
        super().__init__(exact.vectors, exact.ids)
        self._rows = rows

    def _search(self, queries: npt.NDArray[np.float32], k: int) -> SearchResult:  # noqa: ARG002
        rows = np.tile(np.asarray(self._rows, np.int32), (len(queries), 1))
        scores = np.zeros(rows.shape, np.float32)
        return SearchResult(rows, scores, np.full(len(queries), rows.shape[1], np.int32))


def test_recall_by_hand() -> None:
    exact = ExactIndex(np.array([[5], [4], [3], [3], [1]], np.float32), ids_of(5))
    query = np.array([[1]], np.float32)
    assert recall(Fixed(exact, [0, 1, 2]), exact, query, 3) == 1.0
    # Row 3 scores as much as row 2, so either is right.
    assert recall(Fixed(exact, [0, 1, 3]), exact, query, 3) == 1.0
    assert recall(Fixed(exact, [0, 1, 4]), exact, query, 3) == pytest.approx(2 / 3)
    assert recall(Fixed(exact, [4]), exact, query, 3) == 0.0


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("exact", {"kind": "exact"}),
        ("brute_force", {}),
        ("hashed", {"brute_force_below": 1_000}),
        ("tree", {"brute_force_below": 500, "hashed_below": 1_000}),
    ],
)
def test_every_kind_reaches_the_target_and_says_how(kind: str, config: dict[str, object]) -> None:
    vectors = clustered(3_000, 16, 40, seed=1)
    # The partitions differ between runs; with a few dozen queries the held-out half misses by chance.
    queries = clustered(800, 16, 40, seed=1)
    built = build_index(vectors, ids_of(3_000), IndexConfig(k=20, **config), queries)
    report = built.report
    assert built.index.kind == kind
    assert report["target_reached"] is True
    assert 0.95 <= report["recall"] <= 1.0
    assert recall(built.index, ExactIndex(vectors, ids_of(3_000)), queries, 20) >= 0.95
    assert report["latency"]["p99_us"] >= report["latency"]["median_us"] > 0
    assert report["queries"] == {"source": "tower", "measured": 250}
    curve = report["curve"]
    assert all({"parameters", "recall", "median_us", "p99_us"} == set(point) for point in curve)
    assert dict(built.index.parameters) in [point["parameters"] for point in curve]


def test_a_target_out_of_reach_keeps_the_best_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    # Vectors without any structure, one reordered candidate short of enough: recall stays below 1.
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((6_000, 64), dtype=np.float32)
    config = IndexConfig(k=100, kind="hashed", recall_target=1.0)
    built = build_index(vectors, ids_of(6_000), config, rng.standard_normal((60, 64), dtype=np.float32))
    assert built.report["recall_target"] == 1.0
    assert built.report["target_reached"] is (built.report["recall"] == 1.0)
    best = max(point["recall"] for point in built.report["curve"])
    chosen = [
        point["recall"]
        for point in built.report["curve"]
        if point["parameters"] == dict(built.index.parameters)
    ]
    assert chosen == [best]
    assert ("below the target" in caplog.text) is not built.report["target_reached"]


def test_without_queries_candidates_stand_in() -> None:
    vectors = clustered(400, 8, 5, seed=2)
    built = build_index(vectors, ids_of(400), IndexConfig(k=10, sample=30))
    assert built.report["queries"] == {"source": "candidates", "measured": 15}
    assert built.report["recall"] == 1.0


def test_the_same_seed_samples_the_same_queries() -> None:
    vectors = clustered(2_000, 8, 5, seed=2)
    config = IndexConfig(k=10, kind="hashed", sample=40, seed=7)
    first, second = (build_index(vectors, ids_of(2_000), config).report["recall"] for _ in range(2))
    assert first == second


def test_queries_of_another_tower_are_refused() -> None:
    with pytest.raises(ModelError, match=r"expected an array \[n, 8\], found \[5, 9\]"):
        build_index(clustered(50, 8, 5, seed=2), ids_of(50), IndexConfig(), np.ones((5, 9), np.float32))


def test_200k_clustered_vectors_reach_95_percent() -> None:
    vectors = clustered(200_000, 64, 2_000, seed=11)
    queries = clustered(200, 64, 2_000, seed=11)
    started = time.monotonic()
    built = build_index(vectors, ids_of(200_000), IndexConfig(), queries)
    assert built.index.kind == "tree"
    assert built.report["k"] == 250
    assert built.report["recall"] >= 0.95, built.report["curve"]
    assert recall(built.index, ExactIndex(vectors, ids_of(200_000)), queries[:50], 100) >= 0.95
    assert time.monotonic() - started < 120
