"""Streams of records that outlive the process: appended in batches, read in order, taken in claims."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

EVENTS: Final = "queue:events"
EXPOSURES: Final = "queue:exposures"
SHADOW_EXPOSURES: Final = "queue:shadow-exposures"


class Entry(NamedTuple):
    """A record and its position in its stream, counting from 1."""

    position: int
    record: bytes


class Claim(NamedTuple):
    """Positions ``first`` to ``last``, both included, that one consumer works on.

    The bounds were made durable before anybody saw them: whoever takes the claim over after a crash gets
    the same ones, and so writes the same file again.
    """

    first: int
    last: int


class Queue(Protocol):
    """Durable streams. Positions of a stream grow without gaps and never change.

    A *group* reads every record of a stream once: its claims follow each other without gap or overlap.
    """

    def append(self, stream: str, records: Sequence[bytes], ids: Sequence[str] = ()) -> list[bool]:
        """Add records at the end, all or none; they are durable when this returns.

        Args:
            ids: one a record, or none at all. A record whose id this stream has seen, earlier or in the
                same call, is left out.

        Returns:
            for each record whether it was added; false is a duplicate.

        Raises:
            FullError: the stream holds its limit of records that are not acknowledged; none was added.
            StorageError: they are not durable; sending them again does no harm where they have ids.
        """
        ...

    def read(self, stream: str, after: int, limit: int) -> list[Entry]:
        """Up to ``limit`` records after a position (0: from the beginning), in order.

        Raises:
            StorageError: the stream cannot be read.
        """
        ...

    def claim(self, stream: str, group: str, consumer: str, limit: int, seconds: float) -> Claim | None:
        """The next records of a group for one consumer, or a claim whose consumer is late with it.

        Args:
            limit: of a new claim; one that is taken over keeps its bounds.
            seconds: until somebody else may take it over.

        Returns:
            None where nothing waits, or another consumer holds the group's claim: one a group at a time,
            so that files are written in order. More consumers need more streams.
        """
        ...

    def acknowledge(self, stream: str, group: str, consumer: str, claim: Claim) -> None:
        """The group is done with these records. Twice is once.

        Raises:
            ConflictError: another consumer has taken the claim over; what it does is the same.
        """
        ...

    def rewind(self, stream: str, group: str, after: int) -> None:
        """The group reads again from behind a position; a claim in progress is forgotten."""
        ...

    def depth(self, stream: str, group: str = "") -> int:
        """How many records a stream holds, or how many of them a group has not acknowledged."""
        ...

    def trim(self, stream: str, before: int) -> int:
        """Forget records before a position that every group has acknowledged; how many went."""
        ...

    def close(self) -> None: ...
