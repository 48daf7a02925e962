"""Compile a function of a trained model for LiteRT."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from slate.errors import ModelError
from slate.litert.diversion import quietly


def write(
    function: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]],
    inputs: Mapping[str, tf.TensorSpec],
    variables: Sequence[tf.Variable],
    file: Path,
) -> None:
    """Write what ``function`` computes now, its variables as constants.

    Tables of a size of their own do not belong in it: give their rows as inputs.

    Args:
        function: takes tensors by name, gives tensors by name.
        inputs: what it takes; a dimension that is None may be of any size.
        variables: all that the function reads.

    Raises:
        ModelError: it uses operations that LiteRT does not have.
    """
    # Of these alone: what is converted is saved first, with all that hangs on its holder.
    holder = tf.Module()
    holder.kept = list(variables)
    traced = tf.function(function, input_signature=[dict(inputs)], autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], holder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        with quietly():
            content: Any = converter.convert()
    except Exception as error:
        text = str(error).strip().splitlines() or ["no message"]
        raise ModelError(
            f"model {file}: cannot be compiled ({text[0][:300]}); use operations that LiteRT has "
            "(tf.expand_dims in place of tf.newaxis, say)"
        ) from error
    file.write_bytes(content)
