import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from slate.retrieval.signature import Signature


class Model(tf.Module):
    """Inputs and outputs are named so that neither is in the order of the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]], shape=[2, None])

    @tf.function(
        input_signature=[
            {
                "of": tf.TensorSpec([None, 2], tf.float32, name="of"),
                "many": tf.TensorSpec([None, None], tf.int32, name="many"),
            }
        ]
    )
    def serve(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        product = inputs["of"] @ self.weights
        return {
            "product": product,
            "added": product + 1.0,
            "twice": 2.0 * inputs["of"],
            "count": tf.reduce_sum(inputs["many"], axis=1),
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signature")
    model = Model()
    tf.saved_model.save(model, str(path), signatures={"serve": model.serve})
    return path


def inputs(rows: int, wide: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([rows, wide])
    return {
        "many": rng.integers(0, 9, (rows, wide)).astype(np.int32),
        "of": rng.standard_normal((rows, 2)).astype(np.float32),
    }


@pytest.mark.parametrize(("rows", "wide"), [(1, 1), (3, 0), (5, 17), (0, 4)])
def test_it_answers_what_tensorflows_own_call_does(folder: Path, rows: int, wide: int) -> None:
    model = tf.saved_model.load(str(folder))
    given = inputs(rows, wide)
    expected = model.signatures["serve"](**{name: tf.constant(array) for name, array in given.items()})
    found = Signature(model, "serve")(given)
    assert found.keys() == expected.keys() == {"added", "count", "product", "twice"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-6)
        assert found[name].dtype == value.numpy().dtype


def test_the_variables_live_as_long_as_it_does(folder: Path) -> None:
    signature = Signature(tf.saved_model.load(str(folder)), "serve")
    gc.collect()
    assert signature({"many": np.ones((1, 2), np.int32), "of": np.ones((1, 2), np.float32)})[
        "product"
    ].tolist() == [[9.0, 18.0, 36.0]]


def test_a_variable_that_changes_and_grows_later_is_seen(folder: Path) -> None:
    model = tf.saved_model.load(str(folder))
    signature = Signature(model, "serve")
    given = {"many": np.ones((1, 2), np.int32), "of": np.ones((1, 2), np.float32)}
    signature(given)
    model.weights.assign([[1.0, 2.0, 4.0, 5.0], [1.0, 2.0, 4.0, 5.0]])
    assert signature(given)["product"].tolist() == [[2.0, 4.0, 8.0, 10.0]]


def test_it_takes_any_shape_from_several_threads(folder: Path) -> None:
    signature = Signature(tf.saved_model.load(str(folder)), "serve")
    every = [inputs(rows, wide) for rows in range(1, 9) for wide in range(1, 5)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(signature, every))
    for given, answer in zip(every, found, strict=True):
        np.testing.assert_array_equal(answer["count"], given["many"].sum(axis=1))


def test_other_numbers_are_cast_and_a_missing_input_is_named(folder: Path) -> None:
    signature = Signature(tf.saved_model.load(str(folder)), "serve")
    assert signature.inputs == ("many", "of")
    assert signature.width("twice") == 2
    assert signature({"many": np.ones((1, 2), np.int64), "of": np.ones((1, 2))})["count"].tolist() == [2]
    with pytest.raises(KeyError, match="of"):
        signature({"many": np.ones((1, 2), np.int32)})
