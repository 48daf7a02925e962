"""What every source of candidates can do."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from slate.recommend.arrays import Floats, Rows
from slate.recommend.stages.records import Ask


class Asked(NamedTuple):
    """Requests and their query embeddings, float32 [n, dim]."""

    asks: Sequence[Ask]
    embeddings: Floats


class Source(Protocol):
    """Names candidates. Thread-safe, without state of requests.

    What may not be shown is not its business: it is asked for more than is wanted, and filters follow.
    """

    @property
    def name(self) -> str: ...

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        """For each ask up to ``counts[i]`` distinct catalogue rows, best first."""
        ...


class Quota(NamedTuple):
    """A source, and how many of its candidates shall be left after filtering."""

    source: Source
    wanted: int
