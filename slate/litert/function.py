"""A compiled function, called with arrays by name."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate.errors import ModelError
from slate.litert.diversion import quietly

#: What a converter calls the one signature of a model.
SIGNATURE: Final = "serving_default"

#: Interpreters for different shapes that are kept however few calls are under way at once.
_KEPT: Final = 8

Array = npt.NDArray[Any]
Shapes = tuple[tuple[int, ...], ...]


class LiteFunction:
    """One function of a model. Safe to call from several threads, with inputs of any shape it allows.

    Each call under way has an interpreter of its own, which runs in the thread that calls: where there are
    more processors, there are more callers. Interpreters are kept with the shapes of their last inputs, for
    another batch size costs one as much time as a small batch: some for different shapes, and no fewer than
    calls were under way at once.

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
        #: The one used last stands last.
        self._idle = [first]
        self._made = 1
        self._lock = threading.Lock()
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
        given = {name: np.asarray(arrays[name], tensor.kind) for name, tensor in self._first.inputs.items()}
        shapes = tuple(array.shape for array in given.values())
        try:
            interpreter = self._fitting(shapes) or _Interpreter.of(self._content)
            answer = interpreter.run(given, shapes)
        except BaseException:
            # It is not used again.
            with self._lock:
                self._made -= 1
            raise
        with self._lock:
            self._idle.append(interpreter)
        return answer

    def _fitting(self, shapes: Shapes) -> "_Interpreter | None":
        """An idle interpreter that has these shapes already, or may be given them; None where a new one is
        worth its memory or no other is idle.
        """
        with self._lock:
            for place in reversed(range(len(self._idle))):
                if self._idle[place].shapes == shapes:
                    return self._idle.pop(place)
            if self._idle and (self._made >= _KEPT or not self._idle[0].shapes):
                return self._idle.pop(0)
            self._made += 1
            return None


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
    #: Of the inputs in their order; none before the first call.
    shapes: Shapes = ()
    #: Its memory lies where it lay when its kernels were told so.
    _settled: bool = False

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

    def run(self, given: Mapping[str, Array], shapes: Shapes) -> dict[str, Array]:
        if self.shapes == shapes and self._settled:
            return self._answer(given)
        self._fit(shapes)
        place = self._place()
        answer = self._answer(given)
        # What it computes in between gets its memory as it runs, for which all of it may move. XNNPACK may go
        # on reading where an input was, in every later call, unless it is prepared again.
        self._settled = self._place() == place
        return answer

    def _answer(self, given: Mapping[str, Array]) -> dict[str, Array]:
        interpreter = self.interpreter
        for tensor, array in zip(self.inputs.values(), given.values(), strict=True):
            interpreter.set_tensor(tensor.index, array)
        interpreter.invoke()
        return {name: interpreter.get_tensor(tensor.index) for name, tensor in self.outputs.items()}

    def _fit(self, shapes: Shapes) -> None:
        if self.shapes == shapes:
            # Only what changes is prepared.
            self._resize([(length + 1, *rest) for length, *rest in shapes])
        self._resize(shapes)
        self.interpreter.allocate_tensors()
        self.shapes = shapes

    def _resize(self, shapes: Iterable[tuple[int, ...]]) -> None:
        for tensor, shape in zip(self.inputs.values(), shapes, strict=True):
            self.interpreter.resize_tensor_input(tensor.index, shape, strict=True)

    def _place(self) -> int:
        """The address of an input. They all lie in one piece of memory."""
        first = next(iter(self.inputs.values()))
        place: int = self.interpreter.tensor(first.index)().ctypes.data
        return place
