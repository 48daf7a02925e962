"""Shuffling, losses and curves against a scorer whose answers are known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.config import FeatureKind
from slate.data.features import FeatureEncoder, FeatureSpace
from slate.errors import DataError
from slate.ranking.explain.asking import Answers, Asked
from slate.ranking.explain.dependence import curves
from slate.ranking.explain.importance import Judge, effect, importances
from slate.ranking.explain.record import Explanations
from slate.ranking.explain.shuffling import Inputs, inputs_of, shuffled


def _asked(requests: int = 6, width: int = 5, seed: int = 0) -> Asked:
    """Lists of different lengths; every cell of every input is a number of its own."""
    rng = np.random.default_rng(seed)
    shape = (requests, width)
    present = np.arange(width) < rng.integers(1, width + 1, (requests, 1))
    cells = np.arange(1, requests * width + 1).reshape(shape)
    length = np.arange(4) >= rng.integers(0, 5, (requests, 1))
    history = np.arange(1, requests * 4 + 1).reshape(requests, 4) * length
    return Asked(
        query={
            "history_items": history.astype(np.int32),
            "history_events": (history * 10).astype(np.int32),
            "history_ages": np.log1p(history).astype(np.float32),
            "user_town": np.arange(1, requests + 1, dtype=np.int32),
            "context_surface": np.arange(1, requests + 1, dtype=np.int32)[:, np.newaxis],
        },
        identity=(cells * present).astype(np.int32),
        content={
            "price": np.stack([cells * 0.5, np.zeros(shape)], axis=-1).astype(np.float32),
            "genre": cells.astype(np.int32),
        },
        popularity=(cells * 2.0).astype(np.float32),
        scores=np.where(present, -cells, 0).astype(np.float32),
        ranks=np.where(present, np.arange(width), 0).astype(np.float32),
        present=present,
    )


def _arrays(asked: Asked) -> dict[str, Any]:
    flat = {f"query {name}": array for name, array in asked.query.items()}
    flat |= {f"content {name}": array for name, array in asked.content.items()}
    return flat | {n: getattr(asked, n) for n in ("identity", "popularity", "scores", "ranks", "present")}


class Known:
    """Answers by a formula over what it is asked."""

    def __init__(self, formula: Any) -> None:
        self._formula = formula

    def answer(self, asked: Asked) -> Answers:
        score = np.where(asked.present, self._formula(asked), 0.0).astype(np.float32)
        return Answers(score, (1 / (1 + np.exp(-score))).astype(np.float32))


def _price(asked: Asked) -> Any:
    return asked.content["price"][..., 0]


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_shuffling_moves_values_and_makes_none(requests: int, width: int, seed: int) -> None:
    asked = _asked(requests, width, seed)
    kept = {name: array.copy() for name, array in _arrays(asked).items()}
    touched = {
        "item": {"price": "content price", "genre": "content genre"}
        | {"training popularity": "popularity", "id and vector": "identity"},
        "user": {"town": "query user_town"},
        "context": {"surface": "query context_surface"},
        "history": {name: f"query history_{name}" for name in ("items", "events", "ages")},
    }
    for inputs in inputs_of(asked):
        moved = _arrays(shuffled(asked, inputs, np.random.default_rng(seed)))
        may = (
            {touched[inputs.group][n] for n in inputs.names}
            if inputs.group in touched
            else {"scores", "ranks"}
        )
        for name, before in kept.items():
            assert np.array_equal(_arrays(asked)[name], before)
            assert moved[name].dtype == before.dtype
            if name not in may:
                assert np.array_equal(moved[name], before)
            elif name.startswith("query"):
                assert sorted(moved[name].ravel().tolist()) == sorted(before.ravel().tolist())
            else:
                assert np.array_equal(moved[name][~asked.present], before[~asked.present])
                assert sorted(moved[name][asked.present].ravel().tolist()) == sorted(
                    before[asked.present].ravel().tolist()
                )
        if inputs.group == "history" and len(inputs.names) == 1:
            there = kept["query history_items"] > 0
            assert np.array_equal(moved[f"query history_{inputs.name}"] > 0, there)


def test_what_goes_together_moves_together() -> None:
    asked = _asked(8, 6)
    moved = shuffled(
        asked, Inputs("item", "everything", ("genre", "price", "id and vector")), np.random.default_rng(1)
    )
    there = asked.present
    assert not np.array_equal(moved.identity, asked.identity)
    np.testing.assert_array_equal(moved.content["genre"][there], moved.identity[there])
    np.testing.assert_array_equal(moved.content["price"][..., 0][there], moved.identity[there] * 0.5)
    np.testing.assert_array_equal(moved.popularity, asked.popularity)
    whole = shuffled(
        asked, Inputs("history", "everything", ("items", "events", "ages")), np.random.default_rng(1)
    )
    history = whole.query["history_items"]
    assert not np.array_equal(history, asked.query["history_items"])
    np.testing.assert_array_equal(whole.query["history_events"], history * 10)


def test_every_input_is_asked_alone_and_with_its_group() -> None:
    names = [(i.group, i.name, len(i.names)) for i in inputs_of(_asked())]
    assert names == [
        ("retrieval", "score", 1),
        ("history", "items", 1),
        ("history", "events", 1),
        ("history", "ages", 1),
        ("item", "genre", 1),
        ("item", "price", 1),
        ("item", "training popularity", 1),
        ("item", "id and vector", 1),
        ("user", "town", 1),
        ("context", "surface", 1),
        ("item", "all features", 2),
        ("history", "everything", 3),
        ("item", "everything", 4),
    ]


def test_only_what_the_scorer_reads_is_of_importance() -> None:
    asked = _asked(40, 5)
    # The dearest candidate of each list is the one that follows; the scorer knows.
    best = np.where(asked.present, _price(asked), -1).argmax(axis=1)
    interacted = np.arange(5) == best[:, np.newaxis]
    judge = Judge([f"u{n % 20}" for n in range(40)], interacted, asked.present, k=3)
    known = Known(_price)
    before = judge.losses(known.answer(asked))
    assert before[:, 0].tolist() == [0.0] * 40
    found = {(i.group, i.name): i for i in importances(known, asked, judge, before, 3, seed=1)}
    for key, entry in found.items():
        if "price" in entry.inputs:
            assert entry.ndcg.low > 0, key
        else:
            assert (entry.ndcg.value, entry.ndcg.low, entry.ndcg.high) == (0, 0, 0), key
            assert entry.log_loss.value == 0, key


def test_the_loss_is_averaged_within_a_user_first() -> None:
    means = np.array([0.0, 1.0, 0.5])
    found = effect(means, seed=1)
    assert found is not None
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    assert effect(np.array([0.3]), seed=1).low is None
    assert effect(np.array([]), seed=1) is None


def _space() -> FeatureSpace:
    return FeatureSpace(
        items=(
            FeatureEncoder("price", FeatureKind.NUMERIC, mean=100.0, std=10.0),
            FeatureEncoder("genre", FeatureKind.CATEGORICAL, vocabulary=tuple(f"g{n}" for n in range(40))),
        ),
        users=(),
        context=(),
        events=("view",),
    )


def test_curves_of_a_known_scorer_are_its_formula() -> None:
    asked = _asked()
    found = {
        c.name: c
        for c in curves(
            Known(lambda a: _price(a) * 2 + a.popularity * 0.5),
            asked,
            asked,
            _space(),
            counts=np.arange(31) ** 2,
            popularity=np.arange(31, dtype=np.float32) * 2,
        )
    }
    rest = (asked.popularity * 0.5)[asked.present].mean()
    price = found["price"]
    # Values in the units of the data: 10 for each unit that the model sees, around 100.
    np.testing.assert_allclose(price.score.mean, [2 * (v - 100) / 10 + rest for v in price.values], rtol=1e-5)
    assert price.rows == asked.present.sum()
    low, high = np.quantile((asked.popularity * 0.5)[asked.present], [0.1, 0.9])
    first = 2 * (price.values[0] - 100) / 10
    assert (price.score.low[0], price.score.high[0]) == pytest.approx((first + low, first + high))
    # The popularity that goes with a count is that of an item with the count.
    counted = found["training popularity"]
    dear = (2 * _price(asked))[asked.present].mean()
    np.testing.assert_allclose(counted.score.mean, [np.sqrt(v) + dear for v in counted.values], rtol=1e-5)
    flat = found["genre"]
    assert np.ptp(flat.score.mean) == 0
    assert len(flat.values) == 8
    assert set(flat.values) <= set(_space().items[1].vocabulary)


def test_a_held_retrieval_score_has_the_rank_that_it_would_have() -> None:
    asked = replace(_asked(1, 5), present=np.ones((1, 5), np.bool_))
    asked = replace(asked, scores=np.array([[5, 4, 3, 2, 1]], np.float32))

    def ranks(place: int) -> dict[Any, float]:
        given = (FeatureSpace((), (), (), ("view",)), np.ones(31, np.int64), np.ones(31, np.float32))
        found = curves(Known(lambda a: a.ranks), asked, asked.candidates(np.array([[place]])), *given)
        score = next(curve for curve in found if curve.name == "score")
        return dict(zip(score.values, score.score.mean, strict=True))

    # The last one rises, the first one falls; a candidate is never behind itself.
    assert ranks(4) == {1: 4, 2: 3, 3: 2, 4: 1, 5: 0}
    assert ranks(0) == {1: 3, 2: 2, 3: 1, 4: 0, 5: 0}


def test_a_history_is_cut_to_its_last_entries_and_moved_in_time_as_a_whole() -> None:
    asked = _asked()
    ages = np.array([[300, 200, 100, 50], [0, 0, 9, 7]] * 3, np.float32)
    items = np.array([[1, 2, 3, 4], [0, 0, 5, 6]] * 3, np.int32)
    history = {"history_items": items, "history_events": items, "history_ages": np.log1p(ages)}
    asked = replace(asked, query={**asked.query, **history})

    def of(formula: Any) -> dict[str, Any]:
        given = (_space(), np.ones(31, np.int64), np.ones(31, np.float32))
        return {c.name: c for c in curves(Known(formula), asked, asked, *given)}

    held = of(lambda a: (a.query["history_items"] > 0).sum(axis=1, keepdims=True))["length"]
    weights = asked.present.sum(axis=1)
    for length, mean in zip(held.values, held.score.mean, strict=True):
        kept = np.minimum([4, 2] * 3, length)
        assert mean == pytest.approx(np.average(kept, weights=weights))
    newest = of(lambda a: np.expm1(a.query["history_ages"][:, -1:]))["time since the last"]
    np.testing.assert_allclose(newest.score.mean, newest.values, rtol=1e-4)
    assert newest.values == pytest.approx((7, 50), rel=1e-5)
    gap = of(lambda a: np.expm1(a.query["history_ages"][:, 2:3]) - np.expm1(a.query["history_ages"][:, 3:]))
    gaps = gap["time since the last"].score.mean
    assert gaps[0] == pytest.approx(np.average([50, 2] * 3, weights=weights), rel=1e-3)
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-3)


def test_the_file_is_strict(make_record: Explanations) -> None:
    text = make_record.to_json()
    assert Explanations.from_json(text) == make_record
    with pytest.raises(DataError, match="surprise"):
        Explanations.from_json(text.replace('"model"', '"surprise": 1, "model"', 1))
    with pytest.raises(DataError, match="run the train_ranker step again"):
        Explanations.from_json(text.replace('"seconds": 1.0', '"seconds": NaN'))


@pytest.fixture
def make_record() -> Explanations:
    return Explanations(
        model="multitask",
        requests=1,
        users=1,
        with_positive=0,
        k=10,
        repeats=3,
        ndcg=None,
        log_loss=0.5,
        importance=(),
        curves=(),
        seconds=1.0,
    )
