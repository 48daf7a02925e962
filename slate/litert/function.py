"""A compiled function, called with arrays by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate.errors import ModelError
from slate.litert.diversion import quietly

#: What a converter calls the one signature of a model.
SIGNATURE: Final = "serving_default"

Array = npt.NDArray[Any]


class LiteFunction:
    """One function of a model. Safe to call from several threads, with inputs of any shape it allows.

    Each call under way has an interpreter of its own, which runs in the thread that calls: where there are
    more processors, there are more callers. Interpreters are kept, so there are as many as calls were under
    way at once.

    Args:
        file: written by :func:`slate.litert.convert.write`; read once.

    Raises:
        ModelError: there is no such file, or it is no compiled function.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._content = file.read_bytes()
        except OSError as error:
            raise ModelError(
                f"model {file}: cannot be read ({error.strerror}); name a folder that training wrote, or "
                "train again with this version of slate"
            ) from error
        try:
            first = _Interpreter.of(self._content)
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"model {file}: no compiled function ({error}); train again, or take another release"
            ) from error
        self._idle = [first]
        #: Names of the inputs.
        self.inputs: tuple[str, ...] = tuple(sorted(first.inputs))
        #: Names of the outputs.
        self.outputs: tuple[str, ...] = tuple(sorted(first.outputs))
        self._first = first

    def width(self, name: str) -> int:
        """The last dimension of an input or output; -1 where it may be any."""
        return (self._first.inputs.get(name) or self._first.outputs[name]).width

    def __call__(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for inputs by name. Others than its inputs are left alone; none may be empty.

        Raises:
            KeyError: an input is missing.
        """
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = _Interpreter.of(self._content)
        answer = interpreter.run(arrays)
        # One that failed is not used again.
        self._idle.append(interpreter)
        return answer


@dataclass(frozen=True)
class _Tensor:
    index: int
    kind: Any
    width: int

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> "_Tensor":
        signature = details["shape_signature"]
        return cls(details["index"], details["dtype"], int(signature[-1]) if len(signature) else -1)


@dataclass
class _Interpreter:
    interpreter: Any
    inputs: Mapping[str, _Tensor]
    outputs: Mapping[str, _Tensor]
    _shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, content: bytes) -> "_Interpreter":
        # Says which kernels it took, on the file that C writes errors to, once a process.
        with quietly():
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner(SIGNATURE)
        return cls(
            interpreter,
            {name: _Tensor.of(details) for name, details in runner.get_input_details().items()},
            {name: _Tensor.of(details) for name, details in runner.get_output_details().items()},
        )

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        interpreter, resized = self.interpreter, False
        given = [
            (name, tensor, np.asarray(arrays[name], tensor.kind)) for name, tensor in self.inputs.items()
        ]
        for name, tensor, array in given:
            if self._shapes.get(name) != array.shape:
                interpreter.resize_tensor_input(tensor.index, array.shape, strict=True)
                self._shapes[name], resized = array.shape, True
        if resized:
            interpreter.allocate_tensors()
        for _, tensor, array in given:
            interpreter.set_tensor(tensor.index, array)
        interpreter.invoke()
        return {name: interpreter.get_tensor(tensor.index) for name, tensor in self.outputs.items()}
