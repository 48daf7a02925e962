"""The rungs below personalised: what is shown when nothing personal can be."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from slate import columns
from slate.recommend.request import SlateItem

POPULAR: Final = "popular"
_LENGTH: Final = 1000


def write(directory: Path, items: Sequence[str], scores: Sequence[float]) -> None:
    """Write ``fallback.json``: the most popular items, best first.

    Args:
        items: item ids, best first; the first thousand are kept.
        scores: their popularity, in the same order.
    """
    popular = [
        {"item_id": item, "score": float(score)}
        for item, score in zip(items[:_LENGTH], scores[:_LENGTH], strict=True)
    ]
    (directory / columns.FALLBACK_FILE).write_text(
        json.dumps({POPULAR: popular}, ensure_ascii=False, indent=1), encoding="utf-8"
    )


def read(directory: Path) -> tuple[tuple[str, float], ...]:
    """The popular list of a release: (item id, score), best first."""
    raw = json.loads((directory / columns.FALLBACK_FILE).read_text(encoding="utf-8"))
    return tuple((entry["item_id"], float(entry["score"])) for entry in raw[POPULAR])


def popular(ranking: Sequence[tuple[str, float]], blocked: Collection[str], k: int) -> tuple[SlateItem, ...]:
    """The ``k`` most popular items that are not blocked."""
    left = [(item, score) for item, score in ranking if item not in blocked][:k]
    return tuple(SlateItem(item, score, place, POPULAR) for place, (item, score) in enumerate(left, start=1))
