"""What a controller says of itself: every move, every new opinion, and every problem once."""

import time
from collections.abc import Callable
from typing import Final

from slate.rollout.judge.verdict import Verdict
from slate.rollout.state import State

#: A problem that comes back after so long is said again.
_FORGET_SECONDS: Final = 60.0


class Voice:
    """Says lines, each only where it is news.

    Args:
        say: told one line.
        monotonic: real seconds that only go forward.
    """

    def __init__(self, say: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._say, self._monotonic = say, monotonic
        self._problems: dict[str, float] = {}
        self._opinion = ""

    def moved(self, state: State) -> None:
        """A rollout went on."""
        move = state.history[-1]
        by = f"verdict {move.verdict}" if move.verdict is not None else move.by
        self._say(f"{where(state)}, by {by}: {move.reason}")

    def over(self, state: State) -> None:
        """A rollout ended, and nothing is left to do for it."""
        self._say(f"rollout {state.rollout_id} is over: {state.status}")

    def heard(self, verdict: Verdict) -> None:
        """A verdict, where it does not say the same as the last one but for its figures."""
        checks = " ".join(f"{check.name}={check.status}" for check in verdict.checks)
        opinion = f"{verdict.rollout_id} {verdict.step} {verdict.decision} {verdict.blind} {checks}"
        if opinion != self._opinion:
            self._opinion = opinion
            blind = " (blind)" if verdict.blind else ""
            self._say(f"step {verdict.step}: {verdict.decision}{blind}: {'; '.join(verdict.reasons)}")

    def problem(self, problem: str) -> None:
        """Something that stands in the way, once, however long it does."""
        now = self._monotonic()
        known = self._problems.get(problem)
        self._problems = {each: at for each, at in self._problems.items() if now - at < _FORGET_SECONDS}
        self._problems[problem] = now
        if known is None or now - known >= _FORGET_SECONDS:
            self._say(problem)


def where(state: State) -> str:
    """Where a rollout stands, in words."""
    return f"rollout {state.rollout_id}: {state.status}, step {state.step}, threshold {state.threshold}"
