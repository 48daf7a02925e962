"""Ask a golden request now and then: ready means that the answers are right, not that a process lives."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from slate.recommend.online.batches import Batches
from slate.recommend.online.stages import Stages
from slate.recommend.online.trouble import StageError
from slate.recommend.request import Request

#: Well below the second within which a server must say that it is not ready.
SECONDS: Final = 0.4


class HealthCheck:
    """The golden requests of one release, asked in turn and answered together with whatever else waits.

    Work of their own beside that would make every request that comes meanwhile wait for two.

    Args:
        batches: the release's.
        seconds: how long an answer may take.
        failures: how often a source failed so far. Answers without a source are others, not wrong.
    """

    def __init__(
        self,
        batches: Batches,
        stages: Stages,
        golden: Sequence[Mapping[str, Any]],
        seconds: float,
        failures: Callable[[], int] = lambda: 0,
    ) -> None:
        self._batches = batches
        self._stages = stages
        self._golden = golden
        self._seconds = seconds
        self._failures = failures
        self._turn = 0

    async def once(self) -> str:
        """Why the release is not healthy; empty where it is.

        What is merely late says that there is much to do, not that answers are wrong.
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
            slate = await self._batches.answer(request, asyncio.get_running_loop().time() + self._seconds)
        except StageError as error:
            return "" if error.reason == "late" and not self._stages.all_stuck(error.stage) else str(error)
        if self._failures() != failures:
            return "" if slate.items else f"golden request of user {user!r} is answered by nothing"
        expected = case["response"]["items"]
        tolerance = float(case["tolerance"])
        same = len(slate.items) == len(expected) and all(
            math.isclose(mine.score, theirs["score"], abs_tol=tolerance)
            for mine, theirs in zip(slate.items, expected, strict=True)
        )
        return "" if same else f"golden request of user {user!r} is answered otherwise than it was"
