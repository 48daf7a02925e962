"""One of n equal parts of a release's users."""

import re
from dataclasses import dataclass
from typing import Final

from slate.errors import ConfigError

_FORM: Final = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True)
class Partition:
    """Part ``index`` (from 0) of ``count``.

    >>> Partition.parse("3/8")
    Partition(index=3, count=8)
    >>> [str(part) for part in Partition(1, 2).split(2)]
    ['2/4', '3/4']
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """From ``i/n``, i counting from 0 as the indices of a Kubernetes Job do.

        Raises:
            ConfigError: it is none.
        """
        found = _FORM.fullmatch(text)
        partition = cls(int(found[1]), int(found[2])) if found else None
        if partition is None or partition.index >= partition.count:
            raise ConfigError(f"partition {text!r}: is not i/n with i from 0 to n - 1, as in 0/8")
        return partition

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def split(self, parts: int) -> "list[Partition]":
        """The same users in so many parts."""
        return [Partition(self.index * parts + own, self.count * parts) for own in range(parts)]

    def rows(self, total: int) -> range:
        """Which of ``total`` rows are its own."""
        return range(total * self.index // self.count, total * (self.index + 1) // self.count)
