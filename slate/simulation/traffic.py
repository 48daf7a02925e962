"""Users come, look, and act, whatever becomes of their requests."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from slate.simulation.client import Client
from slate.simulation.tastes import WEIGHTS, Tastes
from slate.simulation.visits import Visit


@dataclass
class Traffic:
    """What users went through. ``seconds`` are real, from when a request was due to its answer.

    ``failed`` got no slate; ``untold`` counts visits whose events were not all accepted.
    """

    asked: int = 0
    failed: int = 0
    events: int = 0
    untold: int = 0
    engagement: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def quantile(self, q: float) -> float | None:
        """Of the time that answers took, in ms; None before the first."""
        return 1000 * float(np.quantile(self.seconds, q)) if self.seconds else None


async def come(
    visits: Iterable[Visit], scale: float, tastes: Tastes, client: Client, traffic: Traffic
) -> None:
    """Let users come when they are due, until the last one has acted.

    Args:
        scale: simulated seconds a real one.
        traffic: counted into; it may be read meanwhile.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for visit in visits:
            due = began + visit.at / scale
            # Also when nobody has to wait: answers must be read while many come at once.
            await asyncio.sleep(max(due - loop.time(), 0))
            group.create_task(_visit(visit, due, tastes, client, traffic))


async def _visit(visit: Visit, due: float, tastes: Tastes, client: Client, traffic: Traffic) -> None:
    traffic.asked += 1
    shown = await client.ask(visit.user_id)
    if shown is None:
        traffic.failed += 1
        return
    traffic.seconds.append(asyncio.get_running_loop().time() - due)
    actions = tastes.act(visit.user_id, visit.number, shown.item_ids)
    if await client.tell(visit, shown, actions):
        traffic.events += len(actions)
        traffic.engagement += sum(WEIGHTS[action.event] for action in actions)
    else:
        traffic.untold += 1


async def until(users: "asyncio.Task[None]", ended: asyncio.Event) -> None:
    """Wait for the last user or the end, and send everybody away, also where the waiting is interrupted."""
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({users, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        users.cancel()
        waiting.cancel()
        (problem, _) = await asyncio.gather(users, waiting, return_exceptions=True)
    if isinstance(problem, Exception):
        raise problem
