"""Does the exported model answer as the trained one did in memory?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slate.data.features import EncodedArray
from slate.errors import ModelError

#: Answers encoded inputs by name with outputs by name.
Answer = Callable[[Mapping[str, EncodedArray]], Mapping[str, npt.NDArray[Any]]]


def saved_model(directory: Path, signature: str) -> Answer:
    """A SavedModel's signature, for inputs of which some are none of its own."""
    import tensorflow as tf

    function = tf.saved_model.load(str(directory)).signatures[signature]
    wanted = set(function.structured_input_signature[1])

    def answer(inputs: Mapping[str, EncodedArray]) -> Mapping[str, npt.NDArray[Any]]:
        found = function(**{name: tf.constant(inputs[name]) for name in wanted})
        return {name: value.numpy() for name, value in found.items()}

    return answer


def parity_gap(answer: Answer, outputs: Sequence[str], sample: Path) -> float:
    """The largest difference between an exported model and the answers recorded while it was in memory.

    Differences are taken relative to values above 1 and absolute below, over every output.

    Args:
        answer: the exported model.
        outputs: which of the sample's arrays are answers; the others are inputs.
        sample: an ``.npz`` with every input and every output, recorded in training.

    Returns:
        the gap; infinite where an answer is not finite on one side only.

    Raises:
        ModelError: the sample does not fit the model, or holds no rows.
    """
    with np.load(sample) as stored:
        recorded = {name: stored[name] for name in stored.files}
    inputs = {name: array for name, array in recorded.items() if name not in outputs}
    if not all(len(array) for array in recorded.values()):
        raise ModelError(f"parity {sample}: no rows were sampled; bring validation rows and train again")
    try:
        answers = answer(inputs)
        pairs = [(name, recorded[name], answers[name]) for name in outputs]
    except KeyError as error:
        raise ModelError(f"parity {sample}: {error.args[0]} is missing; train the model again") from error
    gaps = []
    for name, wanted, given in pairs:
        expected, found = wanted.astype(np.float64), given.astype(np.float64)
        if expected.shape != found.shape:
            raise ModelError(
                f"parity {sample}: {name} has shape {found.shape}, recorded {expected.shape}; "
                "train the model again"
            )
        if not np.array_equal(np.isfinite(expected), np.isfinite(found)):
            return float("inf")
        scale = np.maximum(1.0, np.abs(expected))
        gaps.append(float(np.nan_to_num(np.abs(expected - found) / scale, nan=0.0).max(initial=0.0)))
    return max(gaps)
