"""Exact search by hand, and every ScaNN structure against it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from slate.config import IndexConfig
from slate.errors import ModelError
from slate.retrieval.index import CandidateIndex, ExactIndex, ScannIndex, build_index, open_index
from slate.retrieval.index.base import PADDING_ROW
from slate.retrieval.index.build import recall

KINDS = ("exact", "brute_force", "hashed", "tree")

STRANGE_IDS = [
    "plain",
    "with spaces, and commas",
    "007",
    "7",
    "-1",
    "1e5",
    " leading and trailing ",
    "naïve-ÅßÇ-東京-🎬",
    "new\nline\ttab",
    "x" * 5_000,
    "",
    "nan",
]


def clustered(count: int, dim: int, clusters: int, seed: int) -> npt.NDArray[np.float32]:
    """Vectors around Gaussian centres, each with a tenth of the centres' spread."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dim), dtype=np.float32)
    near = rng.standard_normal((count, dim), dtype=np.float32) * np.float32(0.3)
    return centres[rng.integers(0, clusters, count)] + near


def ids_of(count: int) -> list[str]:
    return [f"item {row}" for row in range(count)]


def make(kind: str, vectors: npt.NDArray[np.float32], ids: list[str]) -> CandidateIndex:
    if kind == "exact":
        return ExactIndex(vectors, ids)
    return ScannIndex.build(vectors, ids, kind, k=20)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def vectors() -> npt.NDArray[np.float32]:
    return clustered(700, 16, 12, seed=3)


@pytest.fixture(scope="module")
def queries() -> npt.NDArray[np.float32]:
    return clustered(40, 16, 12, seed=3) * np.float32(1.7)


def test_exact_scores_and_order_by_hand() -> None:
    index = ExactIndex(np.array([[1, 0], [0, 2], [3, 1], [-1, -1]], np.float32), ["a", "b", "c", "d"])
    found = index.search(np.array([[1, 2], [-2, 0]], np.float32), 3)
    assert found.rows.tolist() == [[2, 1, 0], [3, 1, 0]]
    assert found.scores.tolist() == [[5, 4, 1], [2, 0, -2]]
    assert found.lengths.tolist() == [3, 3]
    assert (index.size, index.dim, index.kind) == (4, 2, "exact")


def test_exact_orders_equal_scores_by_row_at_the_cut_too() -> None:
    index = ExactIndex(np.array([[1], [3], [2], [2], [2], [2]], np.float32), ids_of(6))
    found = index.search(np.array([[1]], np.float32), 3)
    assert found.rows.tolist() == [[1, 2, 3]]


def test_exact_answers_do_not_depend_on_the_batch() -> None:
    vectors = clustered(5_000, 8, 20, seed=1)
    index = ExactIndex(vectors, ids_of(5_000))
    queries = clustered(30, 8, 20, seed=2)
    together = index.search(queries, 7)
    for at in (0, 13, 29):
        assert index.search(queries[at : at + 1], 7).rows[0].tolist() == together.rows[at].tolist()


@pytest.mark.parametrize("kind", ["brute_force", "hashed"])
def test_full_effort_finds_what_exact_search_finds(
    kind: str, vectors: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]
) -> None:
    exact = ExactIndex(vectors, ids_of(700))
    index = make(kind, vectors, ids_of(700))
    if isinstance(index, ScannIndex):
        index = index.tuned(reorder=700)
    assert index.kind == kind
    truth, found = exact.search(queries, 20), index.search(queries, 20)
    np.testing.assert_array_equal(found.rows, truth.rows)
    np.testing.assert_allclose(found.scores, truth.scores, rtol=1e-4, atol=1e-4)


def test_a_tree_that_looks_at_every_leaf_finds_all(
    vectors: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]
) -> None:
    index = ScannIndex.build(vectors, ids_of(700), "tree", k=20)
    whole = index.tuned(leaves=index.num_leaves, reorder=700)
    exact = ExactIndex(vectors, ids_of(700))
    np.testing.assert_array_equal(whole.search(queries, 20).rows, exact.search(queries, 20).rows)
    assert recall(index, exact, queries, 20) <= recall(whole, exact, queries, 20) == 1.0


def test_a_short_result_is_padded_and_never_leaks_row_0(vectors: npt.NDArray[np.float32]) -> None:
    far = vectors.copy()
    far[0] = -50.0  # the worst answer for the queries below, so it may only ever come last
    built = ScannIndex.build(far, ids_of(700), "tree", k=20)
    # Claiming a single leaf keeps the search from opening more, as it otherwise would for k = 600.
    narrow = ScannIndex(
        built._searcher, 16, built.ids, "tree", num_leaves=1, leaves=1, reorder=80, tuned_k=20
    )
    found = narrow.search(np.ones((2, 16), np.float32), 600)
    assert (found.lengths < 600).all()
    assert (found.lengths > 0).all()
    for query in range(2):
        rows, scores = found.row(query)
        assert 0 not in rows
        assert len(set(rows.tolist())) == len(rows)
        assert (np.diff(scores) <= 0).all()
        assert (found.rows[query, len(rows) :] == PADDING_ROW).all()
        assert np.isneginf(found.scores[query, len(rows) :]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_k_beyond_the_size_returns_everything_once(kind: str) -> None:
    vectors = clustered(300, 16, 12, seed=5)
    index = make(kind, vectors, ids_of(300))
    found = index.search(vectors[:3], 5_000)
    assert found.rows.shape == (3, 300)
    for query in range(3):
        assert sorted(found.row(query)[0].tolist()) == list(range(300))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 5])
def test_a_tiny_catalogue(kind: str, size: int) -> None:
    vectors = np.arange(size * 3, dtype=np.float32).reshape(size, 3)
    found = make(kind, vectors, ids_of(size)).search(np.ones((1, 3), np.float32), 10)
    assert found.rows.tolist() == [list(range(size))[::-1]]
    assert found.scores[0, 0] == vectors[-1].sum()


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_bad_queries(kind: str, vectors: npt.NDArray[np.float32]) -> None:
    index = make(kind, vectors, ids_of(700))
    bad = np.ones((4, 16), np.float32)
    bad[2, 5] = np.nan
    with pytest.raises(ModelError, match="row 2 is not finite"):
        index.search(bad, 3)
    bad[2, 5] = -np.inf
    with pytest.raises(ModelError, match="row 2 is not finite"):
        index.search(bad, 3)
    with pytest.raises(ModelError, match=r"expected an array \[n, 16\], found \[4, 15\]"):
        index.search(np.ones((4, 15), np.float32), 3)
    with pytest.raises(ModelError, match="k is 0"):
        index.search(np.ones((1, 16), np.float32), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_queries_no_results(kind: str, vectors: npt.NDArray[np.float32]) -> None:
    found = make(kind, vectors, ids_of(700)).search(np.empty((0, 16), np.float32), 3)
    assert len(found) == 0
    assert found.rows.shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_moved_and_opened_it_answers_the_same(
    kind: str, vectors: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], tmp_path: Path
) -> None:
    index = make(kind, vectors, ids_of(700))
    before = index.search(queries, 30)
    index.save(tmp_path / "first", {"recall": 0.5})
    shutil.move(tmp_path / "first", tmp_path / "moved elsewhere")
    opened = open_index(tmp_path / "moved elsewhere")
    after = opened.search(queries, 30)
    np.testing.assert_array_equal(before.rows, after.rows)
    np.testing.assert_allclose(before.scores, after.scores, rtol=1e-6)
    assert (opened.kind, opened.size, opened.dim) == (kind, 700, 16)
    assert opened.parameters == index.parameters
    assert json.loads((tmp_path / "moved elsewhere" / "index.json").read_text())["recall"] == 0.5


@pytest.mark.parametrize("kind", ["exact", "brute_force"])
def test_any_string_is_an_item_id(kind: str, tmp_path: Path) -> None:
    vectors = clustered(len(STRANGE_IDS), 4, 3, seed=2)
    make(kind, vectors, STRANGE_IDS).save(tmp_path)
    assert open_index(tmp_path).ids.tolist() == STRANGE_IDS


def test_an_id_that_cannot_be_stored_is_named() -> None:
    with pytest.raises(ModelError, match=r"'b\\x00' ends in a null character"):
        ExactIndex(np.ones((2, 2), np.float32), ["a", "b\x00"])


def test_many_threads_get_the_answers_of_one(
    vectors: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]
) -> None:
    index = make("hashed", vectors, ids_of(700))
    alone = [index.search(queries[i : i + 1], 15).rows[0].tolist() for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda i: index.search(queries[i : i + 1], 15).rows[0].tolist(), list(range(40)) * 20)
        )
    assert together == alone * 20


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "index.json").unlink(), "no index.json there"),
        (lambda d: (d / "index.json").write_text("{"), "not JSON"),
        (lambda d: (d / "index.json").write_text('{"kind": "faiss"}'), "kind 'faiss' is none of"),
        (lambda d: (d / "ids.npy").unlink(), r"ids.npy is missing"),
        (lambda d: np.save(d / "ids.npy", np.array(["a"])), "holds 1 ids and index.json says 3"),
        (lambda d: (d / "vectors.npy").unlink(), "vectors.npy is missing"),
    ],
)
def test_a_damaged_folder_is_refused(damage: object, message: str, tmp_path: Path) -> None:
    ExactIndex(np.ones((3, 2), np.float32), ["a", "b", "c"]).save(tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(ModelError, match=message):
        open_index(tmp_path)


def test_build_refuses_what_cannot_be_searched() -> None:
    config = IndexConfig()
    bad = np.ones((3, 2), np.float32)
    bad[1, 0] = np.inf
    with pytest.raises(ModelError, match="candidate embeddings: row 1 is not finite"):
        build_index(bad, ["a", "b", "c"], config)
    with pytest.raises(ModelError, match="no candidates"):
        build_index(np.empty((0, 2), np.float32), [], config)
    with pytest.raises(ModelError, match="2 item ids for 3 embeddings"):
        build_index(np.ones((3, 2), np.float32), ["a", "b"], config)
