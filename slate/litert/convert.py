"""Compile a function of a trained model for LiteRT."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from slate.errors import ModelError
from slate.litert.diversion import quietly
from slate.litert.function import SIGNATURE


def write(function: Any, file: Path) -> None:
    """Write what ``function`` computes now, its variables as constants.

    Tables of a size of their own do not belong in it: give their rows as inputs.

    Args:
        function: a ``tf.function`` with an ``input_signature`` of one mapping, of tensors by name, that gives
            tensors by name. A dimension that is None may be of any size.

    Raises:
        ModelError: it uses operations that LiteRT does not have.
    """
    concrete = function.get_concrete_function()
    # Given the function as what it hangs on, its graph is converted as it is. With anything else it is
    # saved, loaded twice and frozen first, which takes longer than the conversion.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], function)
    # Of what it was made: it would be written and read twice more.
    converter.exclude_conversion_metadata = True
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
    file.write_bytes(_named(content, concrete.structured_input_signature[0][0], concrete.structured_outputs))


def _named(content: bytes, inputs: Iterable[str], outputs: Iterable[str]) -> bytes:
    """A compiled function that also says which of its tensors is which input and output.

    They stand in the order in which TensorFlow flattens mappings, that of the sorted keys.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    (graph,) = model.subgraphs
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.inputs = [_tensor(*pair) for pair in zip(sorted(inputs), graph.inputs, strict=True)]
    signature.outputs = [_tensor(*pair) for pair in zip(sorted(outputs), graph.outputs, strict=True)]
    model.signatureDefs = [signature]
    written: bytes = flatbuffer_utils.convert_object_to_bytearray(model)
    return written


def _tensor(name: str, number: int) -> Any:
    pair = schema.TensorMapT()
    pair.name, pair.tensorIndex = name, number
    return pair
