"""The rungs below a personalised slate: precomputed, popular, static."""

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from slate.recommend import fallback
from slate.recommend.live import Ahead, LiveState, LiveUser, NothingLive
from slate.recommend.request import Request, Slate, SlateItem

_log = logging.getLogger(__name__)

PERSONALISED: Final = "personalised"
PRECOMPUTED: Final = "precomputed"
POPULAR: Final = "popular"
STATIC: Final = "static"
RUNGS: Final = (PERSONALISED, PRECOMPUTED, POPULAR, STATIC)


class Ladder:
    """Answers without a model, from slates made ahead and from what was read when the release was opened.

    No rung shows what is taken down, what the user blocked, or what the request excludes; a slate made ahead
    shows nothing that its user met since.

    Args:
        release_id: what the answers name.
        popular: item ids and their popularity, best first.
        live: slates made ahead, and what was done, taken down or blocked since.
    """

    def __init__(
        self,
        release_id: str,
        popular: Sequence[tuple[str, float]],
        k: int,
        live: LiveState | None = None,
    ) -> None:
        self._release_id = release_id
        self._popular = popular
        self._k = k
        self._live = live or NothingLive()
        self._said: Collection[str] | None = None
        self._down: frozenset[str] = frozenset()

    async def descend(self, request: Request, seconds: float = 0.0) -> Slate:
        """The best rung below a personalised slate that gives something; the state is given so long."""
        known = await self._known(request, seconds)
        denied = self._denied(request, known.user)
        k = self._wanted(request)
        items, rung = _unmet(known, denied, k), PRECOMPUTED
        if not items:
            items, rung = self._common(request, known.user, denied, k), POPULAR
        if items:
            return Slate(request.user_id, items, rung, self._release_id)
        every = [SlateItem(item, score, 0, STATIC) for item, score in self._popular]
        return Slate(request.user_id, _allowed(every, denied, k), STATIC, self._release_id)

    async def ahead(self, request: Request, seconds: float) -> Slate | None:
        """The slate made ahead, where it holds as many items as are asked for that may still be shown."""
        known = await self._known(request, seconds)
        k = self._wanted(request)
        items = _unmet(known, self._denied(request, known.user), k)
        return Slate(request.user_id, items, PRECOMPUTED, self._release_id) if len(items) == k else None

    def _wanted(self, request: Request) -> int:
        return self._k if request.k is None else request.k

    async def _known(self, request: Request, seconds: float) -> Ahead:
        """Nothing of somebody whom nobody knows; no slate for somebody whose past is another than ours."""
        if request.user_id is None or not request.live:
            return Ahead()
        known = await self._live.ahead(self._release_id, request.user_id, seconds)
        return known if request.history is None else Ahead(user=LiveUser((), known.user.blocked))

    def _denied(self, request: Request, user: LiveUser) -> frozenset[str]:
        """What no rung may show. Where live state fails, what it said last of items taken down holds."""
        try:
            down = self._live.unavailable()
            if down is not self._said:
                self._said, self._down = down, frozenset(down)
        except Exception:
            _log.exception("what is taken down is not told, what was told last holds")
        return self._down.union(request.exclude, request.blocked, user.blocked)

    def _common(
        self, request: Request, user: LiveUser, denied: frozenset[str], k: int
    ) -> tuple[SlateItem, ...]:
        past = (each if isinstance(each, str) else each.item_id for each in request.history or ())
        try:
            return fallback.popular(self._popular, denied.union(past, _met(user)), k)
        except Exception:
            _log.exception("the popular rung failed, the last one answers")
            return ()


def _unmet(known: Ahead, denied: frozenset[str], k: int) -> tuple[SlateItem, ...]:
    return _allowed(known.slate, denied.union(_met(known.user)), k)


def _met(user: LiveUser) -> Iterator[str]:
    return (one.item_id for one in user.history)


def _allowed(items: Sequence[SlateItem], denied: frozenset[str], k: int) -> tuple[SlateItem, ...]:
    left = [item for item in items if item.item_id not in denied][:k]
    return tuple(
        SlateItem(item.item_id, item.score, place, item.source, item.propensity)
        for place, item in enumerate(left, start=1)
    )
