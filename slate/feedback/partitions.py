"""Events are shared out by user, so that one user's events stay in order and consumers can share the work.

Partition 0 is the stream ``queue:events``, the others have their number behind it: more partitions leave the
records of before where they are read. Ids count within a stream, so an event that is sent again after the
number changed may count twice; and fewer partitions need their streams empty.
"""

from typing import Final

from slate.feedback.queue import EVENTS
from slate.hashing import bucket

_SALT: Final = "partition"


def events_stream(partition: int) -> str:
    """The stream of a partition.

    >>> events_stream(0), events_stream(3)
    ('queue:events', 'queue:events:3')
    """
    return f"{EVENTS}:{partition}" if partition else EVENTS


def partition_of(user_id: str, partitions: int) -> int:
    """The partition of a user, 0 to ``partitions - 1``.

    >>> partition_of("ann", 1), partition_of("ann", 8) in range(8)
    (0, True)
    """
    return bucket(_SALT, user_id) % partitions if partitions > 1 else 0
