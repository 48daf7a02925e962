"""The ranking model's layers: padding, unknown items, and where training starts."""

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf

from slate.config import FeatureKind, RankingConfig
from slate.data.features import FeatureEncoder, FeatureSpace
from slate.ranking.attention import TargetAttention
from slate.ranking.model import ItemEncoder, Items, RankingModel, Scale

FEATURES = FeatureSpace(
    items=(FeatureEncoder("genre", FeatureKind.CATEGORICAL, ("a", "b")),),
    users=(FeatureEncoder("age", FeatureKind.NUMERIC),),
    context=(FeatureEncoder("surface", FeatureKind.CATEGORICAL, ("home", "search")),),
    events=("view", "like"),
)


def items(counts: list[int], genres: list[int]) -> Items:
    embeddings = np.random.default_rng(0).standard_normal((len(counts), 5), dtype=np.float32)
    return Items({"genre": np.asarray(genres, np.int32)}, np.asarray(counts), embeddings)


def inputs(length: int, width: int) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(1)
    return {
        "history_items": tf.constant(rng.integers(1, 5, (2, length)), tf.int32),
        "history_events": tf.constant(rng.integers(1, 3, (2, length)), tf.int32),
        "history_ages": tf.constant(rng.uniform(0, 12, (2, length)), tf.float32),
        "user_age": tf.constant(rng.standard_normal((2, 2)), tf.float32),
        "context_surface": tf.constant([2, 3], tf.int32),
        "candidates": tf.constant(rng.integers(1, 5, (2, width)), tf.int32),
        "retrieval_scores": tf.constant(rng.standard_normal((2, width)), tf.float32),
        "ranks": tf.constant(np.tile(np.arange(width), (2, 1)), tf.float32),
    }


def model(kind: str = "multitask", **priors: object) -> RankingModel:
    config = RankingConfig(model=kind, dim=4, hidden=(8,))  # type: ignore[arg-type]
    trained = np.array([True, True, True])
    return RankingModel(
        config, FEATURES, items([3, 0, 0, 9], [2, 3, 2, 3]), Scale(), -2.0, np.array([0.5, -1.0]), trained
    )


def randomised(each: RankingModel, given: Mapping[str, tf.Tensor]) -> RankingModel:
    """Weights far from their start, so that every input counts."""
    each(given)
    rng = np.random.default_rng(2)
    each.set_weights([rng.standard_normal(w.shape).astype(np.float32) for w in each.get_weights()])
    return each


def test_attention_ignores_padding() -> None:
    layer, rng = TargetAttention(events=2, width=4), np.random.default_rng(3)
    candidates = tf.constant(rng.standard_normal((1, 3, 4)), tf.float32)
    history = rng.standard_normal((1, 2, 4)).astype(np.float32)
    plain = layer(
        candidates, history, np.array([[1, 2]]), np.array([[3.0, 1.0]], np.float32), history[..., 0] < 9
    )
    padding = rng.standard_normal((1, 5, 4)).astype(np.float32) * 100
    padded = layer(
        candidates,
        np.concatenate([padding, history], axis=1),
        np.array([[0, 2, 1, 1, 2, 1, 2]]),
        np.array([[9, 9, 9, 9, 9, 3, 1]], np.float32),
        np.array([[False] * 5 + [True] * 2]),
    )
    np.testing.assert_allclose(plain, padded, atol=1e-6)


def test_attention_without_a_history_is_zero() -> None:
    layer = TargetAttention(events=2, width=4)
    found = layer(
        tf.ones([1, 2, 4]), tf.ones([1, 3, 4]), np.ones((1, 3), int), tf.ones([1, 3]), np.zeros((1, 3), bool)
    )
    assert not found.numpy().any()


def test_each_candidate_attends_for_itself() -> None:
    layer, rng = TargetAttention(events=2, width=4), np.random.default_rng(5)
    candidates = tf.constant(rng.standard_normal((1, 2, 4)) * 9, tf.float32)
    history = tf.constant(rng.standard_normal((1, 6, 4)), tf.float32)
    rest = (np.ones((1, 6), int), np.zeros((1, 6), np.float32), np.ones((1, 6), bool))
    found = layer(candidates, history, *rest).numpy()
    assert np.abs(found[0, 0] - found[0, 1]).max() > 0.01
    alone = layer(candidates[:, 1:], history, *rest).numpy()
    np.testing.assert_allclose(found[:, 1:], alone, atol=1e-6)


@pytest.mark.parametrize("kind", ["multitask", "logistic"])
def test_padded_histories_change_no_answer(kind: str) -> None:
    given = inputs(length=4, width=3)
    each = randomised(model(kind), given)
    longer = {
        name: tf.pad(value, [[0, 0], [6, 0]]) if name.startswith("history_") else value
        for name, value in given.items()
    }
    for short, long in zip(each(given), each(longer), strict=True):
        np.testing.assert_allclose(short, long, atol=1e-4)


@pytest.mark.parametrize("kind", ["multitask", "logistic"])
@pytest.mark.parametrize("name", ["user_age", "context_surface", "retrieval_scores", "ranks", "candidates"])
def test_every_input_counts(kind: str, name: str) -> None:
    given = inputs(length=4, width=3)
    each = randomised(model(kind), given)
    changed = given | {name: given[name][::-1] + (1 if given[name].dtype == tf.float32 else 0)}
    assert np.abs(each(given).interaction - each(changed).interaction).max() > 1e-3


@pytest.mark.parametrize("name", ["history_items", "history_events", "history_ages"])
def test_the_history_counts(name: str) -> None:
    given = inputs(length=4, width=3)
    each = randomised(model(), given)
    changed = given | {name: given[name][::-1]}
    assert np.abs(each(given).interaction - each(changed).interaction).max() > 1e-3


@pytest.mark.parametrize("kind", ["multitask", "logistic"])
def test_training_starts_from_retrievals_order_and_the_priors(kind: str) -> None:
    given = inputs(length=4, width=3)
    answer = model(kind)(given)
    np.testing.assert_allclose(answer.interaction, given["retrieval_scores"] - 2.0, atol=1e-6)
    np.testing.assert_allclose(answer.events[..., 0], np.full((2, 3), 0.5), atol=1e-6)
    np.testing.assert_allclose(answer.events[..., 1], np.full((2, 3), -1.0), atol=1e-6)


def test_items_never_trained_on_differ_by_content_and_embedding_only() -> None:
    encoder = ItemEncoder(items([3, 0, 0, 9], [2, 3, 2, 3]), FEATURES, 4, 0.0, linear=False)
    encoder.projection.assign(tf.zeros_like(encoder.projection))
    encoder(tf.constant([0]))
    vectors = encoder.table()
    ids, content = encoder.ids.numpy(), vectors - encoder.ids.numpy()[[1, 0, 0, 2]]
    assert len(ids) == 3  # one unknown, two known
    np.testing.assert_allclose(content[0], content[2], atol=1e-6)
    np.testing.assert_allclose(content[1], content[3], atol=1e-6)
    assert np.abs(content[0] - content[1]).max() > 1e-3


def test_id_dropout_takes_the_unknown_vector() -> None:
    encoder = ItemEncoder(items([3, 1, 1, 9], [2, 2, 2, 2]), FEATURES, 4, 0.999, linear=False)
    encoder.projection.assign(tf.zeros_like(encoder.projection))
    rows = tf.range(4)
    dropped = encoder(rows, seed=tf.constant([1, 2])).numpy()
    assert np.abs(np.diff(dropped, axis=0)).max() < 1e-6
    assert np.abs(np.diff(encoder(rows).numpy(), axis=0)).max() > 1e-3


def test_looking_up_any_shape_equals_the_table() -> None:
    encoder = ItemEncoder(items([3, 0, 0, 9], [2, 3, 2, 3]), FEATURES, 4, 0.0, linear=False)
    rows = np.array([[3, 0, 3], [1, 1, 2]], np.int32)
    np.testing.assert_allclose(encoder.lookup()(tf.constant(rows)), encoder.table()[rows], atol=1e-6)


def test_an_event_that_is_not_trained_keeps_its_prior() -> None:
    config = RankingConfig(dim=4, hidden=(8,))
    catalogue = items([3, 0, 0, 9], [2, 3, 2, 3])
    each = RankingModel(
        config, FEATURES, catalogue, Scale(), -2.0, np.array([0.5, -3.0]), np.array([True, False, False])
    )
    given = inputs(length=4, width=3)
    answer = randomised(each, given)(given)
    np.testing.assert_allclose(answer.events[..., 1], np.full((2, 3), -3.0), atol=1e-5)
    np.testing.assert_allclose(answer.value, np.zeros((2, 3)), atol=1e-5)
    assert np.ptp(answer.events[..., 0].numpy()) > 0.01
