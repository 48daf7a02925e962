"""Run a prepared simulation against a stack that is up."""

import asyncio
import contextlib
import math
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from slate.clock import SystemClock
from slate.release.channels import CANDIDATE
from slate.rollout.start import start
from slate.rollout.state import State
from slate.simulation.client import Address
from slate.simulation.course import Course, Listener, Setting, run_course
from slate.simulation.outcome import Outcome, outcome
from slate.simulation.prepare import Prepared
from slate.simulation.releases import Candidate
from slate.simulation.trouble import Killer, Meddle, Slow, SlowProxy
from slate.simulation.visits import visits
from slate.storage import open_store

#: How late a slow candidate answers, in real seconds.
DELAY_S: Final = 0.6
_BY: Final = "simulation"


@dataclass(frozen=True)
class Stack:
    """A stack that is up, as far as a simulation may reach into it.

    ``pid`` is that of a variant's server, None where there is none; ``candidate_port`` is where the candidate
    listens, and ``proxy`` what the gateway asks in its place. ``clock`` tells the time
    as the stack's processes know it.
    """

    address: Address
    clock: SystemClock
    pid: Callable[[str], int | None] = lambda _: None
    candidate_port: int = 0
    proxy: SlowProxy | None = None


def simulate(
    prepared: Prepared,
    stack: Stack,
    *,
    overrides: Sequence[str] = (),
    days: float = math.inf,
    listener: Listener = lambda _: None,
    meddle: Meddle = lambda _: None,
) -> Outcome | None:
    """Let users come to a stack and roll the candidate out under their eyes.

    Args:
        overrides: of the configuration, as the stack has them.
        days: of simulated time, after which nobody comes any more.
        meddle: called beside what the kind of candidate asks for.

    Returns:
        None where the rollout was never seen.

    Raises:
        SlateError: the rollout could not be started, or its records cannot be read.
    """
    config, world = prepared.config(overrides), prepared.world()
    store = open_store(prepared.store)
    setting = Setting(
        store=store,
        address=stack.address,
        tastes=world.tastes,
        visits=visits(world, prepared.visits_per_day, days),
        clock=stack.clock,
        run=uuid.uuid4().hex[:8],
        start=lambda: start(store, prepared.releases.candidate, config.rollout, by=_BY, clock=stack.clock),
    )
    killer = Killer(lambda: stack.pid(CANDIDATE))
    trouble: dict[Candidate, Meddle] = {Candidate.BROKEN: killer}
    if stack.proxy is not None:
        trouble[Candidate.SLOW] = Slow(stack.proxy, DELAY_S)

    def both(state: State) -> None:
        trouble.get(prepared.candidate, _leave_alone)(state)
        meddle(state)

    async def run() -> Course:
        async with _open(stack):
            return await run_course(setting, both, listener)

    return outcome(prepared, config, asyncio.run(run()), killer.killed)


@contextlib.asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[None]:
    if stack.proxy is None:
        yield
        return
    async with stack.proxy.open(stack.candidate_port):
        yield


def _leave_alone(_: State) -> None: ...
