"""Texts as numbers into the distinct ones of them, so that each is looked up once."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: What stands for a text that means nothing to whoever looks it up.
UNKNOWN: Final = -1

Numbers = npt.NDArray[np.int32]


class Numbered(NamedTuple):
    """A number for each of some texts, :data:`UNKNOWN` for those that have none; whether all have one."""

    values: Numbers
    complete: bool


class Names:
    """Distinct texts. Thread-safe.

    Args:
        texts: each once, in Arrow until somebody asks for it.
    """

    def __init__(self, texts: pa.Array) -> None:
        self._texts = texts
        self._found = np.full(len(texts), UNKNOWN, np.int32)

    def texts(self, codes: Numbers) -> list[str]:
        """The texts of codes."""
        found: list[str] = self._texts.take(pa.array(codes)).to_pylist()
        return found

    def numbers(self, codes: Numbers, look: Callable[[str], int | None]) -> Numbered:
        """For each code the number of its text.

        What was found stands for good; what was not is looked for again. So ``look`` is always the same.
        """
        found = self._found[codes]
        unknown = found == UNKNOWN
        if not np.count_nonzero(unknown):
            return Numbered(found, True)
        missing = codes[unknown]
        numbers = [UNKNOWN if number is None else number for number in map(look, self.texts(missing))]
        self._found[missing] = found[unknown] = numbers
        return Numbered(found, UNKNOWN not in numbers)


class Coded(NamedTuple):
    """Some texts: ``codes`` int32 [n] into ``names``."""

    codes: Numbers
    names: Names

    def texts(self) -> list[str]:
        """Them in full."""
        return self.names.texts(self.codes)

    def numbers(self, look: Callable[[str], int | None]) -> Numbered:
        """See :meth:`Names.numbers`."""
        return self.names.numbers(self.codes, look)


NOTHING: Final = Coded(np.empty(0, np.int32), Names(pa.array([], pa.string())))
