"""Moves a rollout: looks, records what it saw, and makes the gateway what the state says.

One ``tick`` takes a second or less, but for a look. The order within it makes a controller that is killed
at any instant harmless: a verdict is written before the state that it allows, and the state before the
gateway is told. Whoever comes next acts on the verdict that nobody acted on, then tells the gateway what the
state is.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from slate.clock import Clock, isoformat
from slate.config import RolloutConfig
from slate.errors import ConflictError, RolloutError, SlateError, StorageError
from slate.release.channels import CANDIDATE, SHADOW, STABLE
from slate.release.rollouts import read_pointer
from slate.rollout.gather import Gatherer
from slate.rollout.judge.decide import blind_since, look
from slate.rollout.judge.guardrails import error_check
from slate.rollout.judge.verdict import Decision, Status, Verdict
from slate.rollout.lease import Lease
from slate.rollout.promotion import finish, move_stable
from slate.rollout.state import RolloutStatus, State, Stored, read_state, swap
from slate.rollout.traffic.driver import Split
from slate.rollout.transition import CONTROLLER, aborted, by_verdict, promoted, transition
from slate.rollout.verdicts import Recorded, last_verdict, record, verdicts_back
from slate.rollout.voice import Voice, where

#: The next look is at least so many durations of the last one away.
_REST: Final = 3.0

_FALLS: Final = frozenset({Decision.ABORT, Decision.INCONCLUSIVE})


@dataclass
class _Memory:
    """What need not be read again of one rollout.

    ``number`` is that of the last verdict, ``open`` that verdict where it may not be acted on yet, and
    ``unrecorded`` a verdict that could not be written. ``blind_since`` is of ``step``; ``mirrors`` says that
    the shadow has answered.
    """

    rollout_id: str
    number: int
    open: Recorded | None = None
    unrecorded: Verdict | None = None
    step: str = ""
    blind_since: datetime | None = None
    mirrors: bool = False


class Controller:
    """See the module.

    Args:
        gatherer: reads the evidence, and knows store and gateway.
        config: how to look; ramp and allocation are those that a rollout started with.
        after_promotion: what else is to do when a release has become stable; done again where it failed.
        say: told in one line of what happens.
        monotonic: real seconds that only go forward.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        lease: Lease,
        config: RolloutConfig,
        clock: Clock,
        after_promotion: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gatherer, self._store, self._driver = gatherer, gatherer.store, gatherer.driver
        self._lease, self._config, self._clock = lease, config, clock
        self._after_promotion, self._monotonic = after_promotion, monotonic
        self._voice = Voice(say, monotonic)
        self._next_look = 0.0
        self._memory = _Memory("", 0)

    def tick(self) -> bool:
        """Do what is to do now; false where another controller holds the lease.

        Nothing is raised: what fails is said once, and tried again with the next tick.
        """
        try:
            if not self._lease.hold():
                return False
            self._act()
        except ConflictError:
            pass  # Somebody else moved it: the next tick sees what is there now.
        except SlateError as error:
            self._voice.problem(str(error))
        except Exception as error:
            # A controller that ends would leave a bad candidate where it is.
            self._voice.problem(f"{type(error).__name__}: {error}")
        return self._lease.held

    def _act(self) -> None:
        pointer = read_pointer(self._store)
        if pointer is None or pointer.ended:
            self._tell_gateway(Split())
            return
        stored = read_state(self._store, pointer.rollout_id)
        if self._memory.rollout_id != stored.state.rollout_id:
            self._memory = _Memory(stored.state.rollout_id, stored.state.last_verdict)
            self._next_look = 0.0
        stored = self._catch_up(stored)
        told = self._tell_gateway(self._split(stored.state))
        if stored.state.ended:
            if told:
                finish(self._store, stored.state, pointer, self._clock, self._after_promotion)
                self._voice.over(stored.state)
            return
        stored = self._guard(stored)
        if stored.state.status is RolloutStatus.PROMOTING:
            self._promote(stored)
        elif not stored.state.ended and self._is_time(stored.state):
            self._look(stored)

    def _is_time(self, state: State) -> bool:
        return self._monotonic() >= self._next_look and not self._waits(state)

    def _split(self, state: State) -> Split:
        return state.split(self._config.mirror_percent if self._mirrors(state) else 0.0)

    def _mirrors(self, state: State) -> bool:
        """Whether the shadow has answered once. Copies that it could not take before would count as failed;
        from then on those that it does not answer do."""
        memory = self._memory
        if state.status is RolloutStatus.SHADOW and not memory.mirrors:
            try:
                told = self._driver.applied()
                earlier = told is not None and told.rollout_id == state.salt and told.mirror_percent > 0
                memory.mirrors = earlier or self._driver.answering(SHADOW) == {state.release_id}
            except SlateError as error:
                self._voice.problem(str(error))
        return memory.mirrors

    def _tell_gateway(self, split: Split) -> bool:
        """Whether the gateway does it; where it cannot be told, the next tick tries again."""
        if not self._lease.held:
            return False  # Another controller may have told it something newer.
        try:
            if self._driver.applied() != split:
                self._driver.apply(split)
        except SlateError as error:
            self._voice.problem(str(error))
            return False
        return True

    # What was decided

    def _catch_up(self, stored: Stored) -> Stored:
        """Act on a verdict that was not recorded, or not acted on."""
        state, memory = stored.state, self._memory
        found = last_verdict(self._store, state.rollout_id, memory.number)
        if found is not None:
            memory.number, memory.open = found.number, found
        if state.ended:
            return stored
        if memory.unrecorded is not None:
            return self._decided(stored, memory.unrecorded)
        last = memory.open
        if last is None or last.number <= state.last_verdict or last.verdict.step != state.step:
            return stored
        return self._move(stored, last, self._is_fresh(last.verdict))

    def _decided(self, stored: Stored, verdict: Verdict) -> Stored:
        """Record a verdict, then act on it."""
        memory = self._memory
        if verdict.step != stored.state.step:
            memory.unrecorded = None
            return stored
        memory.unrecorded = verdict if verdict.decision in _FALLS else None
        with self._falling(stored.state, verdict):
            memory.open = record(self._store, verdict, memory.number + 1)
        memory.number, memory.unrecorded = memory.open.number, None
        blind = self._blind_since(stored.state) or datetime.fromisoformat(verdict.at)
        memory.blind_since = blind if verdict.blind else None
        return self._move(stored, memory.open, fresh=True)

    def _move(self, stored: Stored, recorded: Recorded, fresh: bool) -> Stored:
        state, verdict = stored.state, recorded.verdict
        move = by_verdict(state, verdict, recorded.number, isoformat(self._clock.now()))
        if move is None:
            return stored
        rises = move.threshold > state.threshold or move.status is RolloutStatus.PROMOTING
        if rises and not (fresh and self._is_ready(state)):
            return stored  # What is too old, the next look says again, or not.
        try:
            after = transition(state, move, verdict)
        except RolloutError as error:
            self._voice.problem(str(error))
            return stored
        with self._falling(state, verdict):
            return self._moved(stored, after)

    def _moved(self, stored: Stored, after: State) -> Stored:
        stored = swap(self._store, stored, after)
        self._voice.moved(after)
        self._next_look = self._monotonic() + self._config.look_s
        self._tell_gateway(self._split(after))
        return stored

    def _waits(self, state: State) -> bool:
        """Whether a person's verdict waits for the candidate: another look would take its place."""
        last = self._memory.open
        unacted = last is not None and last.number > state.last_verdict and last.verdict.step == state.step
        return bool(unacted and last and last.verdict.forced_by and self._is_fresh(last.verdict))

    def _is_fresh(self, verdict: Verdict) -> bool:
        age = self._clock.now() - datetime.fromisoformat(verdict.at)
        return age <= timedelta(seconds=self._config.stale_s)

    def _is_ready(self, state: State) -> bool:
        """Users go only to a candidate that answers with the release."""
        found = self._driver.answering(CANDIDATE)
        if found == {state.release_id}:
            return True
        answers = ", ".join(sorted(found)) or "nothing"
        self._voice.problem(f"{where(state)}: waits for the candidate, which answers with {answers}")
        return False

    @contextmanager
    def _falling(self, state: State, verdict: Verdict) -> Iterator[None]:
        """Where a fall cannot be written down, users leave the candidate before it can."""
        try:
            yield
        except ConflictError:
            raise
        except StorageError:
            if verdict.decision in _FALLS:
                self._tell_gateway(replace(self._split(state), threshold=0))
            raise

    # What there is to see

    def _look(self, stored: Stored) -> None:
        began = self._monotonic()
        state, now = stored.state, self._clock.now()
        config = self._config_of(state)
        verdict = look(
            lambda: self._gatherer.gather(state, config, now),
            state.judged(),
            config,
            now,
            self._blind_since(state),
        )
        took = self._monotonic() - began
        self._next_look = self._monotonic() + max(self._config.look_s - took, _REST * took)
        # On a machine without time to spare the lease may have run out: it goes on where nobody took it.
        if self._lease.hold():
            self._voice.heard(verdict)
            self._decided(stored, verdict)

    def _guard(self, stored: Stored) -> Stored:
        """Before and between looks: a candidate whose last requests failed goes at once."""
        state, now = stored.state, self._clock.now()
        if state.status is RolloutStatus.SHADOW:
            return stored
        step, config = state.judged(), self._config_of(state)
        try:
            blocks = self._driver.blocks(step, now)
        except ConflictError:
            raise  # Another controller keeps them.
        except SlateError as error:
            self._voice.problem(str(error))  # The next look is blind for it.
            return stored
        # Of fewer blocks than statistics need only the last requests are judged, so no alpha is spent here.
        blocks = blocks[-(config.minimum_blocks - 1) :]
        check = error_check(blocks, config, config.alpha.total)
        if check.status is not Status.FAILED:
            return stored
        verdict = Verdict(
            rollout_id=state.rollout_id,
            step=step.name,
            percent=step.percent,
            at=isoformat(now),
            decision=Decision.ABORT,
            blind=False,
            reasons=(f"{check.name}: {check.reason}",),
            checks=(check,),
        )
        self._voice.heard(verdict)
        return self._decided(stored, verdict)

    def _blind_since(self, state: State) -> datetime | None:
        memory = self._memory
        if memory.step != state.step:
            memory.step, memory.blind_since = state.step, None
            for each in verdicts_back(self._store, state.rollout_id, memory.number):
                found = blind_since([each.verdict], state.step)
                if found is None:
                    break
                memory.blind_since = found
        return memory.blind_since

    def _config_of(self, state: State) -> RolloutConfig:
        """The configuration with the ramp that the rollout started with."""
        moves = state.allocation == "thompson"
        return self._config.model_copy(
            update={"allocation": state.allocation, **({} if moves else {"steps": state.steps})}
        )

    # How it is promoted

    def _promote(self, stored: Stored) -> None:
        state, at = stored.state, isoformat(self._clock.now())
        problem = move_stable(self._store, state, self._clock)
        if problem:
            self._moved(stored, transition(state, aborted(state, at, CONTROLLER, problem)))
        elif self._driver.answering(STABLE) == {state.release_id}:
            self._moved(stored, transition(state, promoted(state, at)))
