import math

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.retrieval.tasks import FullSoftmax, SampledSoftmax, Targets  # noqa: E402

QUERIES = np.asarray([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]], np.float32)
TABLE = np.asarray([[0.2, 0.1], [-0.3, 0.4], [0.5, 0.5], [1.0, -1.0]], np.float32)


def test_full_softmax_is_the_mean_cross_entropy_of_the_targets() -> None:
    targets = Targets(tf.constant([0, 0, 2, 1]), tf.constant([2, 1, 3, 0]), tf.constant([1.0, 1.0, 1.0, 0.0]))
    scores = QUERIES @ TABLE.T
    log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    expected = -(log_probabilities[0, 2] + log_probabilities[0, 1] + log_probabilities[2, 3]) / 3
    loss = FullSoftmax()(tf.constant(QUERIES), tf.constant(TABLE), targets)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_sampled_softmax_subtracts_log_q_and_removes_accidental_hits() -> None:
    # Two targets (items 2 and 1) and three uniform negatives (2, 0, 3) over four items of which the
    # training slice holds 10, 20, 40 and 30 targets: q(i) = 2 * share(i) + 3 / 4.
    task = SampledSoftmax(np.asarray([10, 20, 40, 30]), in_batch=2, uniform=3)
    q = {0: 0.2 + 0.75, 1: 0.4 + 0.75, 2: 0.8 + 0.75, 3: 0.6 + 0.75}
    targets = Targets(tf.constant([0, 2]), tf.constant([2, 1]), tf.constant([1.0, 1.0]))
    negatives = tf.constant([2, 0, 3])
    candidates = tf.gather(tf.constant(TABLE), tf.concat([targets.items, negatives], 0))

    def cross_entropy(query: int, target: int, others: list[int]) -> float:
        def score(item: int) -> float:
            return float(QUERIES[query] @ TABLE[item]) - math.log(q[item])

        return math.log(sum(math.exp(score(i)) for i in [target, *others])) - score(target)

    # The first row's negatives hold its own target 2 once more: that hit is removed.
    expected = (cross_entropy(0, 2, [1, 0, 3]) + cross_entropy(2, 1, [2, 2, 0, 3])) / 2
    loss = task(tf.constant(QUERIES), candidates, negatives, targets)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_empty_slots_are_neither_targets_nor_negatives() -> None:
    task = SampledSoftmax(np.asarray([10, 20, 40, 30]), in_batch=2, uniform=1)
    negatives = tf.constant([0])

    def loss(query: list[int], items: list[int], weights: list[float]) -> float:
        targets = Targets(tf.constant(query), tf.constant(items), tf.constant(weights))
        candidates = tf.gather(tf.constant(TABLE), tf.concat([targets.items, negatives], 0))
        return float(task(tf.constant(QUERIES), candidates, negatives, targets))

    assert loss([0, 1, 0, 0], [2, 3, 1, 1], [1.0, 1.0, 0.0, 0.0]) == pytest.approx(
        loss([0, 1], [2, 3], [1.0, 1.0])
    )
