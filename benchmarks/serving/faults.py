"""Four stages in six kinds of trouble under concurrent requests: how late the latest answer is.

    python -m benchmarks.serving.faults RELEASE ROUNDS

The trouble is that of the tests (``tests/recommend/online/test_matrix.py``), injected beneath the stages.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

_AT_ONCE: Final = 8
_K: Final = 4


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds from request to answer, the worst of each cell and of all, and how far beyond the
    deadline that is.
    """
    from slate.config.online import OnlineConfig
    from slate.recommend.online.load import load
    from slate.release.verify import verify_directory
    from tests.recommend.online.test_matrix import CELLS, STAGES

    config = OnlineConfig()
    release = load(folder, verify_directory(folder))
    cells = []
    for stage, kind, trouble in CELLS:
        owner, name, _ = STAGES[stage]
        right = getattr(owner, name)
        setattr(owner, name, trouble(right))
        try:
            took, rungs = asyncio.run(_ask(config, release, rounds))
        finally:
            setattr(owner, name, right)
        cells.append({"stage": stage, "trouble": kind, "worst_ms": round(max(took), 2), "rungs": rungs})
    worst = max(cell["worst_ms"] for cell in cells)
    return {
        "deadline_ms": config.deadline_ms,
        "worst_ms": worst,
        "beyond_ms": round(max(0.0, worst - config.deadline_ms), 2),
        "cells": cells,
    }


async def _ask(config: Any, release: Any, rounds: int) -> tuple[list[float], dict[str, int]]:
    from slate.recommend.online.host import Host
    from slate.recommend.request import Request

    host = Host(config, "stable")
    host.engine.swap(release)
    took: list[float] = []
    rungs: dict[str, int] = {}

    async def one(number: int) -> None:
        began = time.perf_counter()
        (answer,) = await host.engine.recommend([Request(user_id=f"user-{number:06d}", k=_K)])
        took.append(1000 * (time.perf_counter() - began))
        assert len(answer.slate.items) == _K, f"{len(answer.slate.items)} items"
        rungs[answer.slate.rung] = rungs.get(answer.slate.rung, 0) + 1

    for round_ in range(rounds):
        await asyncio.gather(*(one(round_ * _AT_ONCE + number) for number in range(_AT_ONCE)))
    host.stages.close()
    return took, rungs


def main() -> None:
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))), flush=True)
    os._exit(0)  # Some threads still hang, as they were made to.


if __name__ == "__main__":
    main()
