"""A compiled function answers what TensorFlow does, in any shape and from any thread."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.errors import ModelError  # noqa: E402
from slate.litert import convert  # noqa: E402
from slate.litert.function import LiteFunction, _Interpreter  # noqa: E402

INPUTS = {
    "of": tf.TensorSpec([None, 2], tf.float32, name="of"),
    "many": tf.TensorSpec([None, None], tf.int32, name="many"),
    "unused": tf.TensorSpec([None], tf.float32, name="unused"),
}


class Model(tf.Module):
    """Inputs and outputs are named so that neither is in the order of the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])

    def serve(self, inputs: Any) -> dict[str, Any]:
        product = inputs["of"] @ self.weights
        return {
            "product": product,
            "added": product + 1.0,
            "twice": 2.0 * inputs["of"],
            "count": tf.reduce_sum(inputs["many"], axis=1),
        }


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    model = Model()
    convert.write(tf.function(model.serve, input_signature=[INPUTS]), path)
    return path


def inputs(rows: int, wide: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([rows, wide])
    return {
        "many": rng.integers(0, 9, (rows, wide)).astype(np.int32),
        "of": rng.standard_normal((rows, 2)).astype(np.float32),
        "unused": np.zeros(rows, np.float32),
    }


@pytest.mark.parametrize(("rows", "wide"), [(1, 1), (5, 17), (1, 2), (300, 4)])
def test_it_answers_what_tensorflow_does(file: Path, rows: int, wide: int) -> None:
    function = LiteFunction(file)
    for given in (inputs(2, 3), inputs(rows, wide), inputs(rows + 1, wide)):
        expected = Model().serve({name: tf.constant(array) for name, array in given.items()})
        found = function(given)
        assert found.keys() == expected.keys() == {"added", "count", "product", "twice"}
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-6)
            assert found[name].dtype == value.numpy().dtype


def test_it_takes_any_shape_from_several_threads(file: Path) -> None:
    function = LiteFunction(file)
    every = [inputs(rows, wide) for rows in range(1, 9) for wide in range(1, 5)] * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(function, every))
    for given, answer in zip(every, found, strict=True):
        np.testing.assert_array_equal(answer["count"], given["many"].sum(axis=1))
        np.testing.assert_array_equal(answer["twice"], 2 * given["of"])


def test_interpreters_are_kept_by_shape_and_there_are_no_more_than_are_worth_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, resized = [], []
    of, run = _Interpreter.of, _Interpreter.run

    def counted(content: bytes) -> _Interpreter:
        opened.append(content)
        return of(content)

    def watched(self: _Interpreter, given: Any, shapes: Any) -> Any:
        resized.append(self.shapes != shapes)
        return run(self, given, shapes)

    monkeypatch.setattr(_Interpreter, "of", counted)
    monkeypatch.setattr(_Interpreter, "run", watched)
    function = LiteFunction(file)
    for rows in (1, 2, 3, 1, 2, 3):
        function(inputs(rows, 2))
    assert (len(opened), resized) == (3, [True] * 3 + [False] * 3)
    for rows in range(4, 60):
        function(inputs(rows, 2))
    assert len(opened) == 8
    resized.clear()
    for rows in range(52, 60):
        function(inputs(rows, 2))
    assert (len(opened), resized) == (8, [False] * 8)


def test_an_answer_stays_when_the_next_is_asked(file: Path) -> None:
    function = LiteFunction(file)
    first = function(inputs(3, 2))["twice"]
    kept = first.copy()
    function(inputs(3, 3))
    np.testing.assert_array_equal(first, kept)


def test_the_file_is_needed_only_to_open_it(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.tflite"
    copy.write_bytes(file.read_bytes())
    function = LiteFunction(copy)
    copy.unlink()
    with ThreadPoolExecutor(3) as pool:
        assert len(list(pool.map(function, [inputs(200, 9)] * 30))) == 30


def test_other_numbers_are_cast_and_what_is_no_input_is_left_alone(file: Path) -> None:
    function = LiteFunction(file)
    assert function.inputs == ("many", "of", "unused")
    assert function.outputs == ("added", "count", "product", "twice")
    assert (function.width("twice"), function.width("of"), function.width("many")) == (2, 2, -1)
    given = {
        "many": np.ones((1, 2), np.int64),
        "of": np.ones((1, 2)),
        "unused": np.zeros(1),
        "other": np.zeros(3),
    }
    assert function(given)["count"].tolist() == [2]


def test_after_a_call_that_failed_it_answers_as_before(file: Path) -> None:
    function = LiteFunction(file)
    with pytest.raises(KeyError, match="of"):
        function({"many": np.ones((1, 2), np.int32), "unused": np.zeros(1)})
    with pytest.raises((ValueError, RuntimeError)):
        function(inputs(2, 2) | {"of": np.ones((2, 7), np.float32)})
    assert function(inputs(2, 2))["count"].tolist() == inputs(2, 2)["many"].sum(axis=1).tolist()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(file: Path, tmp_path: Path, share: float) -> None:
    content = file.read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"cut\.tflite: no compiled function"):
        LiteFunction(tmp_path / "cut.tflite")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.tflite: cannot be read"):
        LiteFunction(tmp_path / "none.tflite")


def test_what_litert_cannot_compute_is_said(tmp_path: Path) -> None:
    specification = {"of": tf.TensorSpec([None, 3, 3], tf.float32, name="of")}

    @tf.function(input_signature=[specification])
    def inverse(given: Any) -> dict[str, Any]:
        return {"inverse": tf.linalg.inv(given["of"])}

    with pytest.raises(ModelError, match=r"inverse\.tflite: cannot be compiled"):
        convert.write(inverse, tmp_path / "inverse.tflite")
    assert not (tmp_path / "inverse.tflite").exists()


def test_calling_it_says_nothing_and_needs_no_tensorflow(file: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "sys.modules['tensorflow'] = None\n"
        "from pathlib import Path\n"
        "from slate.litert.function import LiteFunction\n"
        f"f = LiteFunction(Path({str(file)!r}))\n"
        "one = np.ones((1, 2), np.float32)\n"
        "print(f({'of': one, 'many': one, 'unused': one[0, :1]})['product'].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[[9.0, 18.0, 36.0]]\n"
    assert done.stderr == ""
