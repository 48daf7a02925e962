"""Which items meet in a user's history: at most so many places apart, whoever comes first."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from slate import columns
from slate.data.sequences import UserLog

Int64 = npt.NDArray[np.int64]


def wanted_items(log: UserLog, events: Sequence[int]) -> tuple[Int64, Int64]:
    """Items (catalogue rows) of the interactions with these event codes, in order, and their users.

    A user has an item once, at the first such interaction: whoever repeats a pair of items a thousand times
    says no more than whoever had both. Organic interactions are left out: nothing shows that the item was
    ever offered, and a few made-up users would decide whose neighbour a rare item is.
    """
    users = np.repeat(np.arange(len(log.users)), np.diff(log.offsets))
    wanted = np.isin(log.events, np.asarray(events, np.int16))
    organic = log.context.get(columns.ORGANIC)
    if organic is not None:
        wanted &= ~np.fromiter(map(bool, organic), np.bool_, len(organic))
    items, owners = log.items[wanted].astype(np.int64), users[wanted]
    kept = first_of_each(items, owners)
    return items[kept], owners[kept]


def first_of_each(items: Int64, users: Int64) -> Int64:
    """Places of each user's first interaction with each item, in order.

    >>> first_of_each(np.array([7, 7, 2, 7]), np.array([0, 0, 0, 1])).tolist()
    [0, 2, 3]
    """
    if not len(items):
        return np.empty(0, np.int64)
    _, places = np.unique(users * (int(items.max()) + 1) + items, return_index=True)
    return np.sort(places)


def meetings(items: Int64, users: Int64, window: int) -> Iterator[tuple[Int64, Int64]]:
    """Earlier and later items, for each distance from 1 to ``window`` within a user's interactions.

    An item does not meet itself.
    """
    for distance in range(1, min(window, len(items) - 1) + 1):
        earlier, later = items[:-distance], items[distance:]
        same = (users[:-distance] == users[distance:]) & (earlier != later)
        yield earlier[same], later[same]
