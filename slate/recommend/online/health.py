"""Ask a golden request now and then: ready means that the answers are right, not that a process lives."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from slate.recommend.online.funnel import Funnel
from slate.recommend.online.stages import Stages
from slate.recommend.online.trouble import StageError
from slate.recommend.request import Request

#: Well below the second within which a server must say that it is not ready.
SECONDS: Final = 0.4


class HealthCheck:
    """The golden requests of one release, asked in turn through the same stages as everybody's.

    Args:
        failures: how often a source failed so far. Answers without a source are others, not wrong.
    """

    def __init__(
        self,
        funnel: Funnel,
        stages: Stages,
        golden: Sequence[Mapping[str, Any]],
        failures: Callable[[], int] = lambda: 0,
    ) -> None:
        self._funnel = funnel
        self._stages = stages
        self._golden = golden
        self._failures = failures
        self._turn = 0

    async def once(self) -> str:
        """Why the release is not healthy; empty where it is.

        A stage that is merely late says that there is much to do, not that answers are wrong.
        """
        case = self._golden[self._turn % len(self._golden)]
        self._turn += 1
        asked = case["request"]
        user = asked["user_id"]
        request = Request(
            user_id=user,
            history=() if user is None else None,
            k=asked["k"],
            at=datetime.fromisoformat(asked["at"]),
            live=False,
        )
        failures = self._failures()
        try:
            (slate,) = await self._stages.slates(self._funnel, [request])
        except StageError as error:
            return "" if error.reason == "late" and not self._all_stuck(error.stage) else str(error)
        if self._failures() != failures:
            return "" if slate.items else f"golden request of user {user!r} is answered by nothing"
        expected = case["response"]["items"]
        tolerance = float(case["tolerance"])
        same = len(slate.items) == len(expected) and all(
            math.isclose(mine.score, theirs["score"], abs_tol=tolerance)
            for mine, theirs in zip(slate.items, expected, strict=True)
        )
        return "" if same else f"golden request of user {user!r} is answered otherwise than it was"

    def _all_stuck(self, stage: str) -> bool:
        slots = self._stages.slots[stage]
        return slots.stuck >= slots.count
