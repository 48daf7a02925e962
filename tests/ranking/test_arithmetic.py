"""Layers that are computed in another order than they are defined in: the same numbers."""

import numpy as np
import pytest
import tensorflow as tf

from slate.ranking.attention import TargetAttention
from slate.ranking.crossed import CrossedDense


def shuffled(layer: tf.keras.layers.Layer, seed: int) -> dict[str, np.ndarray]:
    """Give a layer weights at random; what they are, by name."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.standard_normal(w.shape).astype(np.float32) for w in layer.get_weights()])
    return {v.name.split("/")[-1].split(":")[0]: v.numpy().astype(np.float64) for v in layer.weights}


@pytest.mark.parametrize("offset", [0.0, 30.0], ids=["around zero", "far from zero"])
def test_crossed_parts_are_normalised_before_the_dense_layer(offset: float) -> None:
    layer, rng = CrossedDense(width=4, wide=3, units=7), np.random.default_rng(1)
    weights = shuffled(layer, 2)
    c, a, u = (offset + rng.standard_normal((50, 4)) for _ in range(3))
    wide = rng.standard_normal((50, 3))

    x = np.concatenate([c, a, c * a, u, c * u], axis=1)
    centred = x - x.mean(axis=1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-6)
    inputs = np.concatenate([normed * weights["scale"] + weights["shift"], wide], axis=1)
    expected = np.maximum(inputs @ weights["kernel"] + weights["bias"], 0)

    found = layer(*(tf.constant(part, tf.float32) for part in (c, a, u, wide))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert (expected > 0).any()
    assert (expected == 0).any()


@pytest.mark.parametrize("offset", [0.0, 5.0], ids=["around zero", "far from zero"])
@pytest.mark.parametrize("shape", [(1, 200), (3, 7), (2, 1)])
def test_lists_of_candidates_give_what_their_pairs_give(shape: tuple[int, int], offset: float) -> None:
    layer, rng = CrossedDense(width=4, wide=3, units=7), np.random.default_rng(6)
    shuffled(layer, 7)
    c, a = (tf.constant(offset + rng.standard_normal((*shape, 4)), tf.float32) for _ in range(2))
    u = tf.constant(offset + rng.standard_normal((shape[0], 4)), tf.float32)
    wide = tf.constant(rng.standard_normal((*shape, 3)), tf.float32)
    users = tf.broadcast_to(u[:, None], c.shape)
    pairs = layer(*(tf.reshape(part, [-1, part.shape[-1]]) for part in (c, a, users, wide))).numpy()
    lists = layer.of_lists(c, a, u, wide).numpy()
    assert lists.shape == (*shape, 7)
    np.testing.assert_allclose(lists.reshape(-1, 7), pairs, rtol=1e-4, atol=1e-4)
    assert (pairs > 0).any()


def test_parts_that_are_all_alike_are_normalised_to_nothing() -> None:
    layer = CrossedDense(width=2, wide=1, units=3)
    weights = shuffled(layer, 3)
    alike = layer(tf.ones([1, 2]), tf.ones([1, 2]), tf.ones([1, 2]), tf.zeros([1, 1])).numpy()
    expected = np.maximum(weights["shift"] @ weights["kernel"][:10] + weights["bias"], 0)
    np.testing.assert_allclose(alike[0], expected, atol=1e-3)


@pytest.mark.parametrize("width", [4, 5])
def test_attention_is_that_of_two_heads_over_tokens_with_events_and_ages(width: int) -> None:
    layer, rng = TargetAttention(events=3, width=width), np.random.default_rng(4)
    weights = shuffled(layer, 5)
    candidates, history = rng.standard_normal((2, 6, width)), rng.standard_normal((2, 4, width))
    events, ages = rng.integers(1, 4, (2, 4)), rng.uniform(0, 12, (2, 4))
    present = np.array([[False, True, True, True], [True] * 4])

    tokens = history + weights["events"][events] + ages[..., None] / 10 * weights["ages"]
    head = (width + 1) // 2
    expected = np.zeros((2, 6, 2 * head))
    for row in range(2):
        there = tokens[row][present[row]]
        for number in range(2):
            own = slice(number * head, (number + 1) * head)
            query, key = candidates[row] @ weights["query"][:, own], there @ weights["key"][:, own]
            logits = query @ key.T / np.sqrt(head) - weights["recency"][number] * ages[row][present[row]] / 10
            share = np.exp(logits - logits.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)
            expected[row, :, own] = share @ (there @ weights["value"][:, own] + weights["value_bias"][own])

    found = layer(
        *(tf.constant(part, tf.float32) for part in (candidates, history)),
        tf.constant(events, tf.int32),
        tf.constant(ages, tf.float32),
        tf.constant(present),
    )
    np.testing.assert_allclose(found.numpy(), expected[..., :width], rtol=1e-4, atol=1e-4)
