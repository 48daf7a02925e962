"""The four stages called in a loop, without any server: what no server can exceed.

    python -m benchmarks.serving.bare RELEASE SECONDS

prints, for each batch size, requests a second and the milliseconds each stage takes of one batch.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

BATCHES: Final = (1, 4, 8, 16, 32, 64)
_USERS: Final = 2_000


def opened(folder: Path) -> tuple[Any, list[str]]:
    """The stages of a release, and some of its users in an order of chance."""
    import random

    from slate.recommend.online.load import load
    from slate.recommend.opened import USERS
    from slate.recommend.users import UserStore
    from slate.release.verify import verify_directory

    funnel = load(folder, verify_directory(folder)).funnel
    users = UserStore(folder / USERS).sample(_USERS)
    random.Random(1).shuffle(users)
    return funnel, users


def measure(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Figures by batch size."""
    from slate.recommend.request import Request

    funnel, users = opened(folder)
    found = {}
    for size in BATCHES:
        batches = [
            [Request(user_id=users[(first + place) % len(users)], k=10) for place in range(size)]
            for first in range(0, len(users), size)
        ]
        for batch in batches[:10]:
            funnel.slates(batch)
        found[str(size)] = _loop(funnel, batches, seconds)
    return found


def _loop(funnel: Any, batches: list[Any], seconds: float) -> dict[str, float]:
    spent = dict.fromkeys(("prepare", "retrieve", "filter", "score", "order"), 0.0)

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        spent[stage] += time.perf_counter() - began
        return result

    began, done = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + seconds:
        batch = batches[done % len(batches)]
        asks = timed("prepare", lambda: funnel.prepare(batch))  # noqa: B023 - called at once
        found = timed("retrieve", lambda: funnel.retrieve(asks))  # noqa: B023
        kept = timed("filter", lambda: funnel.filter(asks, found))  # noqa: B023
        scored = timed("score", lambda: funnel.score(asks, kept))  # noqa: B023
        timed("order", lambda: funnel.order(asks, batch, scored))  # noqa: B023
        done += 1
    rate = done * len(batches[0]) / (now - began)
    return {
        "requests_per_s": round(rate, 1),
        **{f"{stage}_ms": round(1000 * total / done, 3) for stage, total in spent.items()},
    }


def main() -> None:
    print(json.dumps(measure(Path(sys.argv[1]), float(sys.argv[2]))))


if __name__ == "__main__":
    main()
