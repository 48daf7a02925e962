import json

import numpy as np
import pyarrow.compute as pc
import pytest

from slate.config import EvaluationConfig
from slate.data.vocabulary import IdMap
from slate.errors import DataError
from slate.evaluation.baselines import Popularity
from slate.evaluation.measure import baseline_ranker, measure
from slate.evaluation.record import Evaluation, EvaluationRecord

ITEMS = IdMap.of([f"i{n}" for n in range(6)])
COUNTS = np.array([50, 30, 10, 5, 0, 0], np.int64)
CONFIG = EvaluationConfig(ks=(1, 3), k=2, bootstrap=200, cold_user_history=1, new_item_count=0)


def _constant(*rows):
    def rank(targets, k):
        ranked = np.full((len(targets), k), -1, np.int32)
        ranked[:, : len(rows)] = rows[:k]
        return ranked

    return rank


def _oracle(targets, k):
    ranked = np.full((len(targets), k), -1, np.int32)
    ranked[:, 0] = targets.items
    return ranked


@pytest.fixture
def targets(make_targets):
    return make_targets(
        [("a", 4, [0]), ("a", 1, [0, 4]), ("a", 0, [0, 4, 1]), ("b", 1, []), ("c", 5, [2, 3]), ("c", 2, [2])]
    )


@pytest.fixture
def evaluation(targets):
    return measure(
        targets,
        {"funnel": _oracle, "retrieval": _constant(4, 1, 0), "popularity": _constant(0, 1, 2)},
        ITEMS,
        COUNTS,
        CONFIG,
        protocol="temporal",
        attributes={"gender": {"a": "F", "b": "M"}},
        skipped={"ease": "too many items"},
    )


def test_users_are_averaged_first(evaluation):
    # Repeats (a, 0) and (c, 2) are out. Of a's targets retrieval ranks 4 first and 1 second, of b's 1
    # second, of c's nothing.
    found = evaluation.record.rankers["retrieval"].metrics
    second = 1 / np.log2(3)
    assert found["ndcg@2"].value == pytest.approx(((1 + second) / 2 + second + 0) / 3)
    assert found["recall@1"].value == pytest.approx((0.5 + 0 + 0) / 3)
    assert found["mrr@3"].value == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert found["ndcg@2"].users == 3
    assert found["ndcg@2"].low <= found["ndcg@2"].value <= found["ndcg@2"].high


def test_targets_are_accounted_for(evaluation):
    counts = evaluation.record.targets
    assert (counts.found, counts.found_users, counts.repeats_excluded) == (6, 3, 2)
    assert (counts.sampled_out, counts.evaluated, counts.users) == (0, 4, 3)
    assert (counts.first, counts.last) == ("1970-01-01T00:00:10.000000Z", "1970-01-01T00:00:14.000000Z")


def test_exposure_is_of_the_lists_at_k(evaluation):
    popularity = evaluation.record.rankers["popularity"]
    assert popularity.coverage == pytest.approx(2 / 6)
    assert popularity.popularity == 40
    assert popularity.short_lists == 0
    assert evaluation.record.rankers["funnel"].short_lists == 4
    table = evaluation.exposure.to_pydict()
    assert table["item_id"] == list(ITEMS.ids)
    assert table["train_count"] == COUNTS.tolist()
    assert table["target_count"] == [0, 2, 0, 0, 1, 1]
    assert table["shown_popularity"] == [4, 4, 0, 0, 0, 0]
    assert table["shown_funnel"] == [0, 2, 0, 0, 1, 1]


def test_slices_hold_their_own_users(evaluation):
    parts = {s.name: s for s in evaluation.record.slices}
    assert list(parts) == ["all", "cold users", "new items", "gender: F", "gender: M", "gender: missing"]
    assert [(s.users, s.targets) for s in parts.values()] == [(3, 4), (1, 1), (2, 2), (1, 2), (1, 1), (1, 1)]
    assert parts["new items"].metrics["retrieval"]["ndcg@2"].value == pytest.approx(0.5)
    assert parts["new items"].differences["popularity"].value == pytest.approx(1.0)
    assert parts["gender: F"].metrics["popularity"]["recall@2"].value == pytest.approx(0.5)


def test_the_challenger_is_compared_with_each_other_ranker(evaluation):
    differences = evaluation.record.overall.differences
    assert set(differences) == {"retrieval", "popularity"}
    mine = differences["popularity"]
    assert mine.challenger == 1.0
    assert mine.value == pytest.approx(1 - mine.reference)


def test_the_per_user_table_pairs_rankers(evaluation):
    table = evaluation.per_user
    chosen = table.filter((pc.field("slice") == "all") & (pc.field("ranker") == "retrieval"))
    assert chosen["user_id"].to_pylist() == ["a", "b", "c"]
    assert chosen["targets"].to_pylist() == [2, 1, 1]
    for ranker, found in evaluation.record.rankers.items():
        rows = table.filter((pc.field("slice") == "all") & (pc.field("ranker") == ranker))
        for metric, estimate in found.metrics.items():
            assert pc.mean(rows[metric]).as_py() == pytest.approx(estimate.value)


def test_saved_and_read_again_it_is_the_same(evaluation, tmp_path):
    evaluation.save(tmp_path)
    again = Evaluation.open(tmp_path)
    assert again.record == evaluation.record
    assert again.per_user.equals(evaluation.per_user)
    assert again.exposure.equals(evaluation.exposure)
    json.loads(evaluation.record.to_json(), parse_constant=lambda name: pytest.fail(name))


def test_a_missing_or_broken_file_is_named(evaluation, tmp_path):
    with pytest.raises(DataError, match=r"evaluation\.json is missing"):
        Evaluation.open(tmp_path)
    evaluation.save(tmp_path)
    (tmp_path / "per_user.parquet").unlink()
    with pytest.raises(DataError, match=r"per_user\.parquet is missing"):
        Evaluation.open(tmp_path)
    text = evaluation.record.to_json()
    with pytest.raises(DataError, match="surprise"):
        EvaluationRecord.from_json(text.replace('"protocol"', '"surprise": 1, "protocol"', 1))
    with pytest.raises(DataError, match="finite"):
        EvaluationRecord.from_json(text.replace('"novelty": ', '"novelty": NaN, "was": ', 1))


def test_order_of_targets_and_rankers_changes_nothing(targets, evaluation):
    rng = np.random.default_rng(3)
    again = measure(
        targets.take(rng.permutation(len(targets))),
        {"popularity": _constant(0, 1, 2), "retrieval": _constant(4, 1, 0), "funnel": _oracle},
        ITEMS,
        COUNTS,
        CONFIG,
        protocol="temporal",
        attributes={"gender": {"b": "M", "a": "F"}},
    )
    assert again.record.overall.metrics == evaluation.record.overall.metrics
    assert again.record.overall.differences == evaluation.record.overall.differences


def test_a_slice_without_targets_is_kept_and_empty(make_targets):
    found = measure(
        make_targets([("a", 0, [1])]), {"funnel": _oracle}, ITEMS, COUNTS, CONFIG, protocol="temporal"
    )
    cold = found.record.slices[1]
    assert (cold.name, cold.users, cold.metrics, cold.differences) == ("cold users", 0, {}, {})


def test_sampled_targets_are_said(make_targets):
    rows = [(f"u{n}", n % 6, []) for n in range(30)]
    config = CONFIG.model_copy(update={"max_targets": 12})
    found = measure(make_targets(rows), {"funnel": _oracle}, ITEMS, COUNTS, config, protocol="temporal")
    assert (found.record.targets.evaluated, found.record.targets.sampled_out) == (12, 18)


def test_a_baseline_never_recommends_what_was_seen(make_targets, history):
    popular = baseline_ranker(Popularity(np.arange(6, dtype=np.int32)))
    targets = make_targets([("a", 3, [0, 2])])
    assert popular(targets, 3).tolist() == [[1, 3, 4]]


def test_what_cannot_be_measured_is_refused(targets, make_targets):
    def run(rankers, of=targets, counts=COUNTS):
        return measure(of, rankers, ITEMS, counts, CONFIG, protocol="temporal")

    with pytest.raises(DataError, match="no ranker 'funnel' among popularity"):
        run({"popularity": _oracle})
    with pytest.raises(DataError, match="ranker 'bad': ranked: list 0 holds item row 1 twice"):
        run({"funnel": _oracle, "bad": _constant(1, 1)})
    with pytest.raises(DataError, match="ranker 'bad': ranked: rows -1 to 6 are outside"):
        run({"funnel": _oracle, "bad": _constant(6)})
    with pytest.raises(DataError, match="5 training counts for 6 items"):
        run({"funnel": _oracle}, counts=COUNTS[:5])
    with pytest.raises(DataError, match="none of 1 targets is left"):
        run({"funnel": _oracle}, of=make_targets([("a", 1, [1])]))
