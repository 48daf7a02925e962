"""The rungs below a personalised slate: precomputed, popular, static."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from slate.recommend import fallback
from slate.recommend.live import LiveState, NothingLive
from slate.recommend.request import Request, Slate, SlateItem

PERSONALISED: Final = "personalised"
PRECOMPUTED: Final = "precomputed"
POPULAR: Final = "popular"
STATIC: Final = "static"
RUNGS: Final = (PERSONALISED, PRECOMPUTED, POPULAR, STATIC)

#: A user's slate as it was computed ahead, best first; None where there is none. Must not block.
Precomputed = Callable[[str], Sequence[SlateItem] | None]


def nothing_precomputed(user_id: str) -> None:
    """No slate was computed ahead."""


class Ladder:
    """Answers without a model, in microseconds, from what was read when the release was opened.

    No rung shows what is taken down, what the user blocked, or what the request excludes.

    Args:
        release_id: what the answers name.
        popular: item ids and their popularity, best first.
        precomputed: looks a user's slate up in memory.
        live: what was taken down or blocked since.
    """

    def __init__(
        self,
        release_id: str,
        popular: Sequence[tuple[str, float]],
        k: int,
        precomputed: Precomputed = nothing_precomputed,
        live: LiveState | None = None,
    ) -> None:
        self._release_id = release_id
        self._popular = popular
        self._k = k
        self._precomputed = precomputed
        self._live = live or NothingLive()
        self._said: Collection[str] | None = None
        self._down: frozenset[str] = frozenset()

    def descend(self, request: Request) -> Slate:
        """The best rung below a personalised slate that gives something."""
        denied = self._denied(request)
        k = self._k if request.k is None else request.k
        for rung, climb in ((PRECOMPUTED, self._ahead), (POPULAR, self._common)):
            try:
                items = climb(request, denied, k)
            except Exception:  # noqa: S112 - the next rung answers, and the answer says which
                continue
            if items:
                return Slate(request.user_id, items, rung, self._release_id)
        every = [SlateItem(item, score, 0, STATIC) for item, score in self._popular]
        return Slate(request.user_id, _allowed(every, denied, k), STATIC, self._release_id)

    def _denied(self, request: Request) -> frozenset[str]:
        """What no rung may show. Where live state fails, what it said last of items taken down holds."""
        blocked: Collection[str] = ()
        try:
            down = self._live.unavailable()
            if down is not self._said:
                self._said, self._down = down, frozenset(down)
            if request.user_id is not None:
                blocked = self._live.blocked(request.user_id)
        except Exception:  # noqa: S110 - the answer says that it is of a lower rung
            pass
        return self._down.union(request.exclude, request.blocked, blocked)

    def _ahead(self, request: Request, denied: frozenset[str], k: int) -> tuple[SlateItem, ...]:
        if request.user_id is None or request.history is not None:
            return ()
        return _allowed(self._precomputed(request.user_id) or (), denied, k)

    def _common(self, request: Request, denied: frozenset[str], k: int) -> tuple[SlateItem, ...]:
        past = (each if isinstance(each, str) else each.item_id for each in request.history or ())
        return fallback.popular(self._popular, denied.union(past), k)


def _allowed(items: Sequence[SlateItem], denied: frozenset[str], k: int) -> tuple[SlateItem, ...]:
    left = [item for item in items if item.item_id not in denied][:k]
    return tuple(
        SlateItem(item.item_id, item.score, place, item.source, item.propensity)
        for place, item in enumerate(left, start=1)
    )
