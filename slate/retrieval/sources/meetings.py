"""Which items meet in a user's history: at most so many places apart, whoever comes first."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from slate.data.sequences import UserLog

Int64 = npt.NDArray[np.int64]


def wanted_items(log: UserLog, events: Sequence[int]) -> tuple[Int64, Int64]:
    """Items (catalogue rows) of the interactions with these event codes, in order, and their users."""
    users = np.repeat(np.arange(len(log.users)), np.diff(log.offsets))
    wanted = np.isin(log.events, np.asarray(events, np.int16))
    return log.items[wanted].astype(np.int64), users[wanted]


def meetings(items: Int64, users: Int64, window: int) -> Iterator[tuple[Int64, Int64]]:
    """Earlier and later items, for each distance from 1 to ``window`` within a user's interactions.

    An item does not meet itself.
    """
    for distance in range(1, min(window, len(items) - 1) + 1):
        earlier, later = items[:-distance], items[distance:]
        same = (users[:-distance] == users[distance:]) & (earlier != later)
        yield earlier[same], later[same]
