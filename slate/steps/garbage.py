"""Python's search for unused cycles, in steps that build models."""

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

#: New objects after which it searches, 700 by default.
_OBJECTS: Final = 50_000


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """Search seldom in this block, and not among what was there before; also a decorator.

    TensorFlow leaves some hundred thousand objects that live as long as the process, and tracing a model
    makes as many again: an update searched 250 times through them, a tenth of its time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
