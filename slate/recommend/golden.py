"""Golden requests: what a release answered when it was made, to be answered again wherever it is opened."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from slate.recommend.recommender import Recommender
from slate.recommend.request import Request

_TOLERANCE: Final = 1e-3
_K: Final = 10


def golden_requests(recommender: Recommender, at: str) -> list[dict[str, Any]]:
    """Requests of some released users and one stranger at a fixed instant, with their answers.

    Args:
        at: the instant of the requests, RFC 3339; later than every history, so the watermark.
    """
    users: list[str | None] = [*recommender.users.sample(recommender.config.golden), None]
    golden = []
    for user in users:
        request = {"user_id": user, "k": _K, "at": at}
        golden.append(
            {"request": request, "response": _answer(recommender, request), "tolerance": _TOLERANCE}
        )
    return golden


def golden_problems(recommender: Recommender, golden: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a recommender answers differently from its golden answers; empty when all is well.

    Scores may differ by the tolerance; items may change places only within it.
    """
    problems = []
    for case in golden:
        expected, tolerance = case["response"], float(case["tolerance"])
        found = _answer(recommender, case["request"])
        who = f"golden request of user {case['request'].get('user_id')!r}"
        if found["rung"] != expected["rung"] or len(found["items"]) != len(expected["items"]):
            problems.append(
                f"{who}: {len(found['items'])} items, {found['rung']}; expected "
                f"{len(expected['items'])}, {expected['rung']}"
            )
            continue
        for place, (mine, theirs) in enumerate(zip(found["items"], expected["items"], strict=True), start=1):
            same = math.isclose(mine["score"], theirs["score"], abs_tol=tolerance)
            if not same:
                problems.append(
                    f"{who}: position {place} is {mine['item_id']!r} with {mine['score']:.5f}; expected "
                    f"{theirs['item_id']!r} with {theirs['score']:.5f}"
                )
                break
    return problems


def _answer(recommender: Recommender, request: Mapping[str, Any]) -> dict[str, Any]:
    at = datetime.fromisoformat(request["at"])
    user = request["user_id"]
    asked = Request(user, () if user is None else None, k=request["k"], at=at, live=False)
    (slate,) = recommender.recommend_batch([asked])
    return {"rung": slate.rung, "items": [{"item_id": i.item_id, "score": i.score} for i in slate.items]}
