"""A rollout among users: started, followed, and left alone until it ends by itself."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from slate.clock import SystemClock
from slate.errors import SlateError
from slate.rollout.state import State, read_state
from slate.rollout.verdicts import Recorded, last_verdict
from slate.simulation.client import Address, Client
from slate.simulation.tastes import Tastes
from slate.simulation.traffic import Traffic, come, until
from slate.simulation.trouble import Meddle
from slate.simulation.visits import Visit
from slate.storage import ObjectStore

_LOOK_SECONDS: Final = 0.25


@dataclass
class Course:
    """What is known of a run so far; instants are real seconds from its beginning.

    ``moves`` says when each move of the state was first seen.
    """

    traffic: Traffic = field(default_factory=Traffic)
    began: float = field(default_factory=time.monotonic)
    state: State | None = None
    verdict: Recorded | None = None
    moves: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began


#: Told of a course a few times a second.
Listener = Callable[[Course], None]


@dataclass(frozen=True)
class Setting:
    """Where a rollout runs: the store it is kept in, who comes when, and the clock that all go by.

    ``start`` starts it and gives its id, ``warm_s`` real seconds after the first user came.
    """

    store: ObjectStore
    address: Address
    tastes: Tastes
    visits: Iterable[Visit]
    clock: SystemClock
    run: str
    start: Callable[[], str]
    warm_s: float = 2.0


async def run_course(setting: Setting, meddle: Meddle, listener: Listener) -> Course:
    """Let users come, start the rollout, and follow it until it has ended or no user is left.

    Raises:
        SlateError: the rollout could not be started.
    """
    course, ended = Course(), asyncio.Event()
    async with Client(setting.address, setting.clock, setting.run) as client:
        users = asyncio.create_task(
            come(setting.visits, setting.clock.scale.factor, setting.tastes, client, course.traffic)
        )
        following = asyncio.create_task(_follow(setting, course, meddle, listener, ended))
        try:
            await until(users, ended)
        finally:
            following.cancel()
            (problem,) = await asyncio.gather(following, return_exceptions=True)
    if isinstance(problem, Exception):
        raise problem
    return course


async def _follow(
    setting: Setting, course: Course, meddle: Meddle, listener: Listener, ended: asyncio.Event
) -> None:
    try:
        await asyncio.sleep(setting.warm_s)
        rollout_id = await asyncio.to_thread(setting.start)
        while course.state is None or not course.state.ended:
            await asyncio.to_thread(_look, setting.store, rollout_id, course)
            if course.state is not None:
                meddle(course.state)
            listener(course)
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        ended.set()


def _look(store: ObjectStore, rollout_id: str, course: Course) -> None:
    try:
        course.state = read_state(store, rollout_id).state
        course.moves += [course.seconds] * (course.state.sequence - len(course.moves))
        known = course.verdict.number if course.verdict else 0
        course.verdict = last_verdict(store, rollout_id, known) or course.verdict
    except SlateError:
        return  # A store that cannot be read now may be in a moment; the rollout goes on without us.
