"""The rungs below a personalised slate: precomputed, popular, static."""

from collections.abc import Callable, Sequence
from typing import Final

from slate.recommend import fallback
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

    Args:
        release_id: what the answers name.
        popular: item ids and their popularity, best first.
        precomputed: looks a user's slate up in memory.
    """

    def __init__(
        self,
        release_id: str,
        popular: Sequence[tuple[str, float]],
        k: int,
        precomputed: Precomputed = nothing_precomputed,
    ) -> None:
        self._release_id = release_id
        self._popular = popular
        self._k = k
        self._precomputed = precomputed
        self._static = tuple(
            SlateItem(item, score, place, STATIC) for place, (item, score) in enumerate(popular, start=1)
        )

    def descend(self, request: Request) -> Slate:
        """The best rung below a personalised slate that gives something."""
        for rung, climb in ((PRECOMPUTED, self._ahead), (POPULAR, self._common)):
            try:
                items = climb(request)
            except Exception:  # noqa: S112 - the next rung answers, and the answer says which
                continue
            if items:
                return Slate(request.user_id, items, rung, self._release_id)
        k = self._k if request.k is None else request.k
        excluded = frozenset(request.exclude)
        left = [item for item in self._static if item.item_id not in excluded][:k]
        return Slate(request.user_id, _placed(left), STATIC, self._release_id)

    def _ahead(self, request: Request) -> tuple[SlateItem, ...]:
        if request.user_id is None or request.history is not None:
            return ()
        ahead = self._precomputed(request.user_id)
        if not ahead:
            return ()
        excluded = frozenset(request.exclude)
        left = [item for item in ahead if item.item_id not in excluded]
        return _placed(left[: self._k if request.k is None else request.k])

    def _common(self, request: Request) -> tuple[SlateItem, ...]:
        past = (each if isinstance(each, str) else each.item_id for each in request.history or ())
        blocked = {*request.exclude, *past}
        return fallback.popular(self._popular, blocked, self._k if request.k is None else request.k)


def _placed(items: Sequence[SlateItem]) -> tuple[SlateItem, ...]:
    return tuple(
        SlateItem(item.item_id, item.score, place, item.source, item.propensity)
        for place, item in enumerate(items, start=1)
    )
