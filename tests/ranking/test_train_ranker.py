"""The ranker step on a planted taste: it learns it, and the export answers as the model did."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slate.data.holdout import Split
from slate.data.sequences import NO_HISTORY, History
from slate.errors import DataError, ModelError
from slate.ranking.scorer import Ranker
from slate.retrieval.query import Query
from slate.steps.train_ranker import train_ranker

FAST = {
    "dim": 16,
    "hidden": [32],
    "dropout": 0.0,
    "batch_size": 450,
    "learning_rate": 0.01,
    "epochs": 15,
    "candidates": 40,
}
EVENTS = {"view": {"weight": 0.5}, "like": {"weight": 1.0}, "report": {"weight": -5.0}}


@pytest.fixture(scope="module")
def trained(taste: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, dict[str, float]]:
    out = tmp_path_factory.mktemp("ranker")
    return taste, out, train_ranker(FAST, *taste.arguments, out)


def person(data: Split, genre: int, count: int = 3) -> Query:
    """Somebody who has taken the first items of a genre."""
    rows = data.catalogue.ids.known_rows([f"g{genre}-{n}" for n in range(count)])
    times = np.arange(count, dtype=np.int64) * 1_000_000
    code = data.features.event_code("view")
    at = int(times[-1]) + 5_000_000 if count else 0
    return Query(History(rows, np.full(count, code, np.int16), times), at, {"town": "town 1"})


def flat(data: Split, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Candidates that retrieval cannot tell apart."""
    return data.catalogue.ids.known_rows(ids), np.zeros(len(ids), np.float32)


def test_it_learns_the_planted_taste(trained: Any) -> None:
    _, out, headline = trained
    measured = json.loads((out / "metrics.json").read_text())
    assert measured["interaction"]["auc"] > 0.9
    assert measured["events"]["like"]["auc"] > 0.9
    assert measured["events"]["like"]["auc_given_interaction"] > 0.9
    assert measured["ndcg"] > measured["retrieval_ndcg"] + 0.1
    assert headline["ranker_auc"] == measured["interaction"]["auc"]
    value = measured["value"]
    assert value["rmse"] < 0.5 * value["rmse_constant"]
    assert value["mae"] < 0.5 * value["mae_constant"]


def test_probabilities_are_calibrated_by_the_correction(trained: Any) -> None:
    measured = json.loads((trained[1] / "metrics.json").read_text())["interaction"]
    assert measured["calibration_error"] < 0.02
    assert measured["calibration_error_uncorrected"] > 2 * measured["calibration_error"]


def test_the_export_answers_as_the_model_in_memory(trained: Any, tmp_path: Path) -> None:
    _, out, _ = trained
    import tensorflow as tf

    shutil.copytree(out / "model", tmp_path / "moved")
    loaded = tf.saved_model.load(str(tmp_path / "moved")).signatures["score"]
    with np.load(out / "parity.npz") as stored:
        recorded = {name: stored[name] for name in stored.files}
    names = set(loaded.structured_input_signature[1])
    answer = loaded(**{name: tf.constant(recorded[name]) for name in names})
    assert set(answer) == {"score", "probabilities", "value"}
    assert len(recorded["candidates"]) >= 250
    assert (recorded["candidates"] == 0).any()
    served = Ranker.open(tmp_path / "moved", Split.open(trained[0].splits).features).answer(recorded)
    for name, found in answer.items():
        np.testing.assert_allclose(found.numpy(), recorded[name], atol=1e-5)
        np.testing.assert_allclose(served[name], recorded[name], atol=1e-5)
        assert np.isfinite(recorded[name]).all()


def test_the_score_is_the_weighted_sum_of_probabilities(trained: Any) -> None:
    with np.load(trained[1] / "parity.npz") as stored:
        score, probabilities = stored["score"], stored["probabilities"]
    order = Split.open(trained[0].splits).features.events
    weights = np.array([EVENTS[name]["weight"] for name in order])
    np.testing.assert_allclose(score, probabilities @ weights, atol=1e-6)


def test_the_record_says_what_was_trained(trained: Any) -> None:
    record = json.loads((trained[1] / "training.json").read_text())
    assert record["rows"]["queries"] == 1_200
    assert (record["rows"]["fit"], record["rows"]["stop"], record["rows"]["report"]) == (840, 180, 180)
    assert record["positives"] == 1_200
    assert record["positives_by_event"]["report"] == 0
    assert any(note.startswith("report: never occurs") for note in record["notes"])
    assert [e["epoch"] for e in record["epochs"]] == list(range(1, len(record["epochs"]) + 1))
    assert record["best_epoch"] >= 1


def test_a_new_item_is_scored_by_its_content(trained: Any) -> None:
    world, out, _ = trained
    data = Split.open(world.splits)
    ranker = Ranker.open(out / "model", data.features)
    assert data.catalogue.train_counts[data.catalogue.ids.row("new")] == 0
    rows, scores = flat(data, ["new", "g5-7", "g6-7"])
    fan = ranker.score([person(data, 2)], [rows], [scores])
    other = ranker.score([person(data, 5)], [rows], [scores])
    assert fan.score[0, 0] > other.score[0, 0]
    assert np.isfinite(fan.score).all()


def test_taste_decides_where_retrieval_does_not(trained: Any) -> None:
    world, out, _ = trained
    data = Split.open(world.splits)
    ranker = Ranker.open(out / "model", data.features)
    rows, scores = flat(data, ["g1-6", "g6-6", "g3-6"])
    found = ranker.score([person(data, genre) for genre in (1, 6, 3)], [rows] * 3, [scores] * 3)
    assert found.score.argmax(axis=1).tolist() == [0, 1, 2]


def test_scoring_does_not_depend_on_the_batch_or_its_padding(trained: Any) -> None:
    world, out, _ = trained
    data = Split.open(world.splits)
    ranker = Ranker.open(out / "model", data.features)
    assert ranker.length == 50
    asked = [person(data, genre, count) for genre, count in ((0, 3), (4, 1), (7, 0), (2, 2), (1, 3))]
    rng = np.random.default_rng(0)
    rows = [rng.permutation(65)[:m].astype(np.int32) for m in (20, 3, 65, 1, 0)]
    scores = [rng.standard_normal(len(r)).astype(np.float32) for r in rows]
    together = ranker.score(asked, rows, scores)
    assert together.score.shape == (5, 65)
    assert together.probabilities.shape == (5, 65, 3)
    assert together.lengths.tolist() == [20, 3, 65, 1, 0]
    for at in range(5):
        alone = ranker.score(asked[at : at + 1], rows[at : at + 1], scores[at : at + 1])
        count = len(rows[at])
        np.testing.assert_allclose(alone.score[0], together.score[at, :count], atol=1e-6)
        assert not together.score[at, count:].any()


def test_nothing_to_score(trained: Any) -> None:
    world, out, _ = trained
    data = Split.open(world.splits)
    ranker = Ranker.open(out / "model", data.features)
    assert ranker.score([], [], []).score.shape == (0, 0)
    empty = ranker.score([person(data, 1)], [np.empty(0, np.int32)], [np.empty(0, np.float32)])
    assert empty.score.shape == (1, 0)


def test_a_retrieval_score_that_is_not_finite_counts_as_the_lowest(trained: Any) -> None:
    world, out, _ = trained
    data = Split.open(world.splits)
    ranker = Ranker.open(out / "model", data.features)
    rows = np.arange(3, dtype=np.int32)
    found = ranker.score([person(data, 1)], [rows], [np.array([1, np.nan, -np.inf], np.float32)])
    assert np.isfinite(found.score).all()
    assert ((found.probabilities >= 0) & (found.probabilities <= 1)).all()


def test_bad_calls_are_refused(trained: Any) -> None:
    world, out, _ = trained
    data = Split.open(world.splits)
    ranker = Ranker.open(out / "model", data.features)
    asked, rows, scores = [person(data, 1)], np.arange(3, dtype=np.int32), np.zeros(3, np.float32)
    with pytest.raises(ModelError, match="names catalogue row 65"):
        ranker.score(asked, [np.array([0, 65], np.int32)], [scores[:2]])
    with pytest.raises(ModelError, match="3 candidates and 2 retrieval scores"):
        ranker.score(asked, [rows], [scores[:2]])
    with pytest.raises(ModelError, match="1 queries, 2 lists"):
        ranker.score(asked, [rows, rows], [scores, scores])
    with pytest.raises(ModelError, match=r"no \w+\.tflite there"):
        Ranker.open(out, data.features)
    with pytest.raises(ModelError, match=r"no score\.tflite there"):
        Ranker.open(world.two_tower / "query_tower", data.features)
    other = type(data.features)(data.features.items, (), data.features.context, data.features.events)
    with pytest.raises(ModelError, match="user_town"):
        Ranker.open(out / "model", other)


def test_logistic_regression_has_the_same_signature(trained: Any, tmp_path: Path) -> None:
    world = trained[0]
    options = {"model": "logistic", "weighted_by_value": True, "epochs": 3, "candidates": 20}
    headline = train_ranker(options, *world.arguments, tmp_path)
    assert np.isfinite(list(headline.values())).all()
    data = Split.open(world.splits)
    ranker = Ranker.open(tmp_path / "model", data.features)
    rows, scores = flat(data, ["g1-6", "g6-6", "new"])
    found = ranker.score([person(data, 1)], [rows], [scores])
    assert np.isfinite(found.score).all()
    # Genres below 4 are worth five times as much, and the same number of people take them.
    assert found.probabilities[0, 0].sum() > found.probabilities[0, 1].sum()
    assert json.loads((tmp_path / "training.json").read_text())["model"] == "logistic"


def test_no_values_no_features_one_event_and_few_rows(make_world: Any, tmp_path: Path) -> None:
    """The least a data set may be: it ends with the order of retrieval and notes, never with NaN."""
    interactions = [
        {"user_id": f"u{n % 5}", "item_id": f"i{(n * 3 + n // 5) % 7}", "timestamp": n} for n in range(25)
    ]
    world = make_world(
        tmp_path / "w",
        interactions,
        [{"item_id": f"i{n}"} for n in range(7)],
        [{"user_id": f"u{n}"} for n in range(5)],
        events={"view": {"weight": 1.0}},
        split_config={"valid_fraction": 0.2, "test_fraction": 0.2},
    )
    headline = train_ranker({}, *world.arguments, tmp_path / "out")
    assert np.isfinite(list(headline.values())).all()
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert any("too few to learn from" in note for note in record["notes"])
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["value"] is None
    ranker = Ranker.open(tmp_path / "out" / "model", Split.open(world.splits).features)
    rows, scores = np.arange(7, dtype=np.int32), np.array([3, 1, 2, -1, 0, 5, 4], np.float32)
    found = ranker.score([Query(NO_HISTORY, 0)], [rows], [scores])
    assert np.argsort(-found.score[0]).tolist() == np.argsort(-scores).tolist()
    assert ((found.probabilities > 0) & (found.probabilities < 1)).all()
    assert not found.value.any()


def test_only_repeats_is_a_clear_error(make_world: Any, tmp_path: Path) -> None:
    interactions = [{"user_id": "u", "item_id": f"i{n % 2}", "timestamp": n} for n in range(10)]
    items = [{"item_id": f"i{n}"} for n in range(3)]
    world = make_world(
        tmp_path / "w", interactions, items, [{"user_id": "u"}], events={"view": {"weight": 1.0}}
    )
    with pytest.raises(DataError, match="1 repeat an item"):
        train_ranker({}, *world.arguments, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tower_of_another_catalogue_is_refused(trained: Any, tmp_path: Path) -> None:
    world = trained[0]
    shutil.copytree(world.two_tower, tmp_path / "tower")
    np.save(tmp_path / "tower" / "candidate_embeddings.npy", np.zeros((3, 6), np.float32))
    with pytest.raises(ModelError, match="3 embeddings for a catalogue of 65 items"):
        train_ranker(
            FAST, world.dataset_config, world.splits, tmp_path / "tower", world.index, tmp_path / "o"
        )
