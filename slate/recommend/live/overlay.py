"""A released history, and what happened since, as one."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from slate.data.sequences import History, natural
from slate.feedback.state import Happened

_MICROSECONDS: Final = 1e6


class Rows(Protocol):
    """Finds the row of an item id."""

    def row(self, id_: str, /) -> int | None: ...


class Overlaid(NamedTuple):
    """The history, and the names in what happened that the release does not know."""

    history: History
    ignored: list[str]


def overlaid(
    released: History, happened: Sequence[Happened], ids: Rows, events: Mapping[str, int]
) -> Overlaid:
    """Both in order of time, each interaction once.

    A release may know an event already that the online state still holds: the same item, event and
    microsecond are the same interaction.

    Args:
        released: the oldest first.
        events: codes by event name.
    """
    known: list[tuple[int, int, int]] = []
    ignored: list[str] = []
    for one in sorted(happened, key=lambda one: (one.at, natural(one.item_id), one.event)):
        row, code = ids.row(one.item_id), events.get(one.event)
        if row is None or code is None:
            ignored.append(one.item_id if row is None else one.event)
        else:
            known.append((row, code, round(one.at * _MICROSECONDS)))
    if not known:
        return Overlaid(released, ignored)
    start = int(np.searchsorted(released.times, known[0][2], side="left"))
    late = (released.items[start:], released.events[start:], released.times[start:])
    there = set(zip(*(each.tolist() for each in late), strict=True))
    new = [one for one in known if one not in there]
    if not new:
        return Overlaid(released, ignored)
    items, codes, times = (np.asarray(each) for each in zip(*new, strict=True))
    together = History(
        np.concatenate([released.items, items.astype(np.int32)]),
        np.concatenate([released.events, codes.astype(np.int16)]),
        np.concatenate([released.times, times.astype(np.int64)]),
    )
    order = np.argsort(together.times, kind="stable")
    return Overlaid(History(together.items[order], together.events[order], together.times[order]), ignored)
