"""Requests in model terms, looking users up where a request says nothing."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import compress
from typing import Final

import numpy as np

from slate.clock import Clock, microseconds
from slate.data.sequences import NO_HISTORY, History, natural
from slate.recommend.arrays import Rows
from slate.recommend.distinct import ascending
from slate.recommend.live import STRANGER, LiveState, LiveUser
from slate.recommend.live.overlay import overlaid
from slate.recommend.opened import Opened
from slate.recommend.request import Interaction, Request
from slate.recommend.stages.records import Ask
from slate.recommend.users import UserRecord
from slate.retrieval.query import Query

_NO_ROWS: Final[Rows] = np.empty(0, np.int32)
_NOBODY: Final = UserRecord(NO_HISTORY, _NO_ROWS, {})


class Preparation:
    """Translates requests for one release."""

    def __init__(self, release: Opened, live: LiveState, clock: Clock) -> None:
        self._release = release
        self._live = live
        self._clock = clock
        self._events = {name: code for code, name in enumerate(release.features.events, start=1)}

    def ask(self, request: Request, since: LiveUser = STRANGER) -> Ask:
        """One request in model terms. What the release does not know is left out and named.

        Args:
            since: what the user did after the release was made, and blocks.
        """
        instant = request.at or self._clock.now()
        at = microseconds(instant)
        known = self._known(request.user_id)
        features = known.features if request.features is None else request.features
        if request.history is None:
            history, ignored = self._overlaid(known.history, since)
            return self._of(request, at, history, known.seen, features, ignored, since.blocked)
        given = sorted(self.interactions(request.history, instant), key=_chronology)
        history, ignored = self._history(
            [each.item_id for each in given],
            [each.event for each in given],
            [microseconds(each.at) for each in given],
        )
        return self._of(request, at, history, history.items, features, ignored, since.blocked)

    def of(self, request: Request, known: UserRecord) -> Ask:
        """One request of whom all is known: the past and the features are these, whatever it says of them."""
        at = microseconds(request.at or self._clock.now())
        return self._of(request, at, known.history, known.seen, known.features, (), ())

    def _of(
        self,
        request: Request,
        at: int,
        history: History,
        seen: Rows,
        features: Mapping[str, object],
        ignored: Sequence[str],
        blocked: Collection[str],
    ) -> Ask:
        """The same at an instant, with names in the past that the release does not know, and with what the
        user never wants to see, beside what the request says so of.
        """
        ids = self._release.ids
        return Ask(
            query=Query(history=history, at=at, user=features, context=request.context),
            seen=ascending(np.concatenate([seen, history.items])),
            excluded=self._rows(request.exclude),
            ignored=(*ignored, *(item for item in request.exclude if item not in ids)),
            blocked=self._rows([*request.blocked, *blocked]),
            user_id=request.user_id,
            seed=self._seed(request, at),
            live=request.live,
        )

    def interactions(self, history: Sequence[str | Interaction], at: datetime) -> list[Interaction]:
        """A history in full: a bare item id stands for the mildest target event, one minute after another,
        the last of them a minute before ``at``.
        """
        count = len(history)
        return [
            each
            if isinstance(each, Interaction)
            else Interaction(each, self._release.plain_event, at - timedelta(minutes=count - place))
            for place, each in enumerate(history)
        ]

    def _seed(self, request: Request, at: int) -> int:
        if request.seed is not None:
            return request.seed
        # Nothing is left to chance where no position explores.
        return _seed(request.user_id, at) if self._release.config.exploration.rate else 0

    def _rows(self, item_ids: Sequence[str]) -> Rows:
        """Those of the items that are known, sorted."""
        return ascending(self._release.ids.known_rows(item_ids)) if item_ids else _NO_ROWS

    def _known(self, user_id: str | None) -> UserRecord:
        return (None if user_id is None else self._release.users.record(user_id)) or _NOBODY

    def _overlaid(self, released: History, since: LiveUser) -> tuple[History, Sequence[str]]:
        """A released past and what followed, and the names in that which the release does not know."""
        if not since.history:
            return released, ()
        history, unknown = overlaid(released, since.history, self._release.ids, self._events)
        self._live.ignored(len(unknown))
        return history, unknown

    def _history(
        self, items: Sequence[str], events: Sequence[str], times: Sequence[int]
    ) -> tuple[History, list[str]]:
        """A past in catalogue rows and event codes, and the names in it that the release does not know."""
        rows = self._release.ids.rows(items)
        codes = list(map(self._events.get, events))
        ignored: list[str] = []
        if None in rows or None in codes:
            ignored = [
                item if row is None else event
                for item, event, row, code in zip(items, events, rows, codes, strict=True)
                if row is None or code is None
            ]
            known = [row is not None and code is not None for row, code in zip(rows, codes, strict=True)]
            rows, codes = list(compress(rows, known)), list(compress(codes, known))
            times = list(compress(times, known))
        history = History(
            np.asarray(rows, np.int32), np.asarray(codes, np.int16), np.asarray(times, np.int64)
        )
        return history, ignored


def _seed(user_id: str | None, at: int) -> int:
    """The same for the same request, whoever answers it: neither release nor process enters."""
    digest = hashlib.blake2b(f"{user_id!r} {at}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _chronology(interaction: Interaction) -> tuple[datetime, tuple[int, int, str], str]:
    """The order in which histories enter training; see :func:`slate.data.sequences.chronological`."""
    return interaction.at, natural(interaction.item_id), interaction.event
