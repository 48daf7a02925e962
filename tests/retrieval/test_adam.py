from typing import Any

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.retrieval.adam import Adam  # noqa: E402
from slate.retrieval.train import WarmUpCosine  # noqa: E402

SETTINGS: list[dict[str, Any]] = [
    {},
    {"beta_2": 0.98, "global_clipnorm": 1.0},
    {"clipnorm": 0.5, "weight_decay": 0.01},
]


def trained(optimizer: Any, steps: int = 5) -> list[np.ndarray]:
    """Two variables after some steps: one of gradients that change sign, one of which rows are looked up."""
    plain = tf.Variable([[0.5, -2.0, 3.0], [1.0, 0.25, -1.0]])
    table = tf.Variable(np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2))

    @tf.function
    def step(number: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            rows = tf.gather(table, [0, 2, 2])
            loss = tf.reduce_sum(tf.square(plain - number)) * tf.reduce_sum(rows * rows) + tf.reduce_sum(rows)
        gradients = tape.gradient(loss, [plain, table])
        assert isinstance(gradients[1], tf.IndexedSlices)
        optimizer.apply_gradients(zip(gradients, [plain, table], strict=True))

    for number in range(steps):
        step(tf.constant(float(number)))
    return [plain.numpy(), table.numpy()]


@pytest.mark.parametrize("settings", SETTINGS)
def test_it_goes_where_keras_adam_goes(settings: dict[str, Any]) -> None:
    ours = trained(Adam(0.1, **settings))
    keras = trained(tf.keras.optimizers.Adam(0.1, jit_compile=False, **settings))
    for mine, theirs in zip(ours, keras, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    assert np.abs(ours[0] - [[0.5, -2.0, 3.0], [1.0, 0.25, -1.0]]).min() > 0.01


def test_the_rate_follows_a_schedule() -> None:
    rates = [WarmUpCosine(0.1, 2.0, 6.0) for _ in range(2)]
    ours, keras = trained(Adam(rates[0])), trained(tf.keras.optimizers.Adam(rates[1], jit_compile=False))
    for mine, theirs in zip(ours, keras, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


def test_a_variable_takes_one_operation() -> None:
    variables = [tf.Variable(tf.zeros([3])) for _ in range(4)]
    optimizer = Adam(0.1)
    optimizer.build(variables)
    applied = tf.function(
        lambda: optimizer.apply_gradients([(tf.ones([3]), variable) for variable in variables])
    ).get_concrete_function()
    kinds = [operation.type for operation in applied.graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == 4
    assert kinds.count("Sqrt") == 0
