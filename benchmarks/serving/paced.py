"""The four stages without any server, asked at a given rate: latencies below which no server here can go.

    python -m benchmarks.serving.paced RELEASE DEADLINE_MS SECONDS ROUNDS RATE...

One thread takes the requests that are due through the stages, a few of them at once where they have to wait.
What else runs on the machine costs it as much as it does a server. Prints a summary for each rate, medians of
the rounds.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.serving.bare import opened
from benchmarks.serving.generator import Record
from benchmarks.serving.schedule import Floats, arrivals
from benchmarks.serving.summary import medians, summarise

_TOGETHER: Final = 8
_WARM: Final = 64
_OK: Final = 200


def measure(
    folder: Path, deadline_ms: float, seconds: float, rounds: int, rates: Sequence[float]
) -> list[dict[str, Any]]:
    """Figures of each rate, as those of a server."""
    from slate.recommend.request import Request

    funnel, users = opened(folder)
    requests = [Request(user_id=user, k=10) for user in users]
    for first in range(0, len(requests), _WARM):
        funnel.slates(requests[first : first + _WARM])
    return [
        medians(
            [
                summarise(
                    answered(funnel, requests, arrivals(rate, seconds, seed=round_ + 1)),
                    seconds,
                    deadline_ms,
                ).plain()
                for round_ in range(rounds)
            ]
        )
        for rate in rates
    ]


def answered(funnel: Any, requests: Sequence[Any], planned: Floats) -> Record:
    """What becomes of requests planned for such instants, in seconds from now on."""
    record = Record.of(planned + time.monotonic())
    record.status[:], record.good[:] = _OK, True
    sent = 0
    while sent < len(planned):
        wait = record.intended[sent] - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        now = time.monotonic()
        due = sent + 1
        while due < min(len(planned), sent + _TOGETHER) and record.intended[due] <= now:
            due += 1
        funnel.slates([requests[number % len(requests)] for number in range(sent, due)])
        record.noticed[sent:due], record.done[sent:due] = now, time.monotonic()
        sent = due
    return record


def main() -> None:
    folder, deadline_ms, seconds, rounds, *rates = sys.argv[1:]
    found = measure(
        Path(folder), float(deadline_ms), float(seconds), int(rounds), [float(rate) for rate in rates]
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
