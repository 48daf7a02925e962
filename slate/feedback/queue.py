"""Streams of records that outlive the process: appended in batches, read in order, taken in claims."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

EVENTS: Final = "queue:events"
EXPOSURES: Final = "queue:exposures"
SHADOW_EXPOSURES: Final = "queue:shadow-exposures"
QUARANTINE: Final = "queue:quarantine"

NO_LIMIT: Final = 2**63 - 1
#: How long the id of a record counts as seen, where nothing else is said: longer than an event may be old.
REMEMBERED_SECONDS: Final = 8 * 86_400.0


class Entry(NamedTuple):
    """A record and its position in its stream, counting from 1."""

    position: int
    record: bytes


class Claim(NamedTuple):
    """Positions ``first`` to ``last``, both included, that one consumer works on.

    The bounds were made durable before anybody saw them, and are kept as long as the records: whoever takes
    the claim over after a crash, or reads the stream again, gets the same ones, and so writes the same file
    again.
    """

    first: int
    last: int


class Queue(Protocol):
    """Durable streams. Positions of a stream grow without gaps and never change.

    A *group* reads every record of a stream once: its claims follow each other without gap or overlap. A new
    group begins at the oldest record that is kept. A record that some group has not acknowledged is never
    forgotten; without a group none is.
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

    def register(self, stream: str, group: str) -> None:
        """The group exists from now on, if it did not: what it has not acknowledged is kept."""
        ...

    def claim(self, stream: str, group: str, consumer: str, limit: int, seconds: float) -> Claim | None:
        """The next records of a group for one consumer, or a claim whose consumer is late with it.

        Args:
            limit: of a new claim; one that is taken over or read again keeps its bounds.
            seconds: until somebody else may take it over. The consumer itself gets it again at any time.

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
        """The group reads again from behind a position, with the same bounds as before.

        A position inside a claim means the beginning of that claim, one that is ahead of the group changes
        nothing. Nobody holds a claim afterwards.

        Raises:
            NotFoundError: records after the position were trimmed.
        """
        ...

    def depth(self, stream: str, group: str = "") -> int:
        """How many records a stream holds, or how many of them a group has not acknowledged."""
        ...

    def trim(self, stream: str, before: int) -> int:
        """Forget records before a position that every group has acknowledged; how many went."""
        ...

    def close(self) -> None: ...
