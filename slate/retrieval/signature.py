"""A SavedModel's signature, called as an operation: what takes a millisecond of Python otherwise."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class Signature:
    """One signature of a loaded model. Safe to call from several threads.

    TensorFlow's own call of a signature binds, casts and collects variables in Python each time, which takes
    as long as a small model. Here its function is called by ``tf.raw_ops.StatefulPartitionedCall``, with the
    inputs as arrays and the variables as they were when it was loaded.

    Args:
        model: as ``tf.saved_model.load`` gives it; kept, since the function does not keep its variables.
    """

    def __init__(self, model: Any, name: str) -> None:
        import tensorflow as tf

        # Optimising a graph that is called with many shapes gains nothing, and takes a third of a second.
        options = tf.compat.v1.ConfigProto()
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        self._options = options.SerializeToString()
        self._call = tf.raw_ops.StatefulPartitionedCall
        self._model = model
        self._function = model.signatures[name]
        self._captured = list(self._function.captured_inputs)
        expected = self._function.structured_input_signature[1]
        #: Names of the inputs, in the order of the function's.
        self.inputs: tuple[str, ...] = tuple(sorted(expected))
        self._types = [expected[each].dtype.as_numpy_dtype for each in self.inputs]
        self._outputs = tuple(sorted(self._function.structured_outputs))
        self._kinds = [each.dtype for each in self._function.outputs]

    def width(self, output: str) -> int:
        """The last dimension of an output."""
        return int(self._function.structured_outputs[output].shape[-1])

    def __call__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The outputs for inputs by name."""
        given = [np.asarray(arrays[name], kind) for name, kind in zip(self.inputs, self._types, strict=True)]
        answer = self._call(
            args=[*given, *self._captured], Tout=self._kinds, f=self._function, config_proto=self._options
        )
        return {name: each.numpy() for name, each in zip(self._outputs, answer, strict=True)}
