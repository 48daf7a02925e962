"""What no stage should ever hand on, looked for before a personalised slate goes out."""

import math
from collections.abc import Sequence


def problem_in(item_ids: Sequence[str], scores: Sequence[float], *, known: bool) -> str:
    """Why a slate of these items and scores may not go out; empty where it may.

    Args:
        known: whether the release knows all of the items.
    """
    if len(set(item_ids)) < len(item_ids):
        return "an item is in it twice"
    if not known:
        return "an item is unknown"
    if not all(map(math.isfinite, scores)):
        return "a score is not finite"
    return ""
