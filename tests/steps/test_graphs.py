"""Graphs that run a few hundred times are not rewritten first, and others are again afterwards."""

import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.steps.graphs import as_traced  # noqa: E402


def optimised() -> bool:
    options = tf.config.optimizer.get_experimental_options()
    return not options.get("disable_meta_optimizer", False)


def test_they_run_as_they_are_in_the_block_alone() -> None:
    with as_traced():
        assert not optimised()
        with as_traced():
            assert not optimised()
        assert not optimised()
    assert optimised()


def test_what_raises_leaves_nothing_behind() -> None:
    with pytest.raises(KeyError), as_traced():
        raise KeyError
    assert optimised()


def test_where_it_does_not_pay_nothing_changes() -> None:
    with as_traced(False):
        assert optimised()


def test_they_compute_the_same() -> None:
    @tf.function
    def computed(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.transpose(tf.transpose(x * 2.0 + 0.0)), axis=0)

    given = tf.reshape(tf.range(12, dtype=tf.float32), [3, 4])
    before = computed(given).numpy().tolist()
    with as_traced():
        assert computed(given).numpy().tolist() == before == [24.0, 30.0, 36.0, 42.0]
