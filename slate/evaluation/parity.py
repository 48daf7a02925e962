"""Does the exported model answer as the trained one did in memory?"""

from pathlib import Path

import numpy as np

from slate.errors import ModelError


def parity_gap(model: Path, signature: str, sample: Path) -> float:
    """The largest difference between an exported model and the answers recorded while it was in memory.

    Differences are taken relative to values above 1 and absolute below, over every output.

    Args:
        model: a SavedModel folder.
        signature: the signature that is served.
        sample: an ``.npz`` with every input of the signature and every output, recorded in training.

    Returns:
        the gap; infinite where an answer is not finite on one side only.

    Raises:
        ModelError: the sample does not fit the signature, or holds no rows.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    function = loaded.signatures[signature]
    wanted = set(function.structured_input_signature[1])
    with np.load(sample) as stored:
        recorded = {name: stored[name] for name in stored.files}
    missing = sorted((wanted | set(function.structured_outputs)) - set(recorded))
    if missing:
        raise ModelError(
            f"parity {sample}: {', '.join(missing)} is missing for signature {signature}; "
            "train the model again"
        )
    if not all(len(recorded[name]) for name in wanted):
        raise ModelError(f"parity {sample}: no rows were sampled; bring validation rows and train again")
    answers = function(**{name: tf.constant(recorded[name]) for name in wanted})
    gaps = []
    for name, answer in answers.items():
        expected, found = recorded[name].astype(np.float64), answer.numpy().astype(np.float64)
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
