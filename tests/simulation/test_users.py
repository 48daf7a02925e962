"""Users over HTTP: they see items alone, act by their tastes, and come whatever became of those before."""

import asyncio
from typing import Any

from slate.clock import SystemClock
from slate.simulation.client import Client
from slate.simulation.traffic import Traffic, come
from slate.simulation.visits import visits
from slate.simulation.world import World
from tests.simulation.shop import DOWN, KEY, Shop

SCALE = 200_000.0
DAYS = 2.0


def played(world: World, shop: Shop) -> Traffic:
    """Two days of users at this shop, in some real seconds at most."""
    traffic = Traffic()

    async def play() -> None:
        async with shop.open() as address, Client(address, SystemClock(), "run") as client:
            await come(visits(world, 1.0, DAYS), SCALE, world.tastes, client, traffic)

    asyncio.run(play())
    return traffic


def outcomes(shop: Shop) -> list[tuple[Any, ...]]:
    """What users did, without what names who answered."""
    return sorted((e["event_id"], e["user_id"], e["item_id"], e["event"]) for e in shop.events)


def test_renaming_the_variants_changes_nothing_that_users_do(world: World) -> None:
    names = (("stable", "candidate"), ("candidate", "stable"), ("x", "y"))
    shops = [Shop(world.tastes.items, pair) for pair in names]
    for shop in shops:
        played(world, shop)
    first, second, third = map(outcomes, shops)
    assert first == second == third
    assert len(first) > 50


def test_users_do_what_their_tastes_say_and_tell_with_the_exposure_id(world: World) -> None:
    shop = Shop(world.tastes.items)
    traffic = played(world, shop)
    came = list(visits(world, 1.0, DAYS))
    served = [visit for visit in came if visit.user_id != DOWN]
    assert traffic.asked == len(came) == len(shop.asked)
    assert traffic.failed == len(came) - len(served) > 0
    assert len(traffic.seconds) == len(served)
    expected = [
        (f"run-{visit.user_id}-{visit.number}-{a.item_id}-{a.event}", visit.user_id, a.item_id, a.event)
        for visit in served
        for a in world.tastes.act(visit.user_id, visit.number, shop.slate(visit.user_id))
    ]
    assert outcomes(shop) == sorted(expected)
    assert traffic.events == len(expected)
    assert traffic.untold == 0
    assert all(event["exposure_id"].endswith(event["user_id"]) for event in shop.events)
    assert {event["schema"] for event in shop.events} == {1}
    assert set(shop.keys) == {f"Bearer {KEY}"}


def test_an_endpoint_that_is_full_is_asked_again_and_loses_nothing(world: World) -> None:
    patient, at_once = Shop(world.tastes.items, refuse=3), Shop(world.tastes.items)
    traffic = played(world, patient)
    played(world, at_once)
    assert traffic.untold == 0
    assert outcomes(patient) == outcomes(at_once)


def test_nobody_waits_for_another_ones_answer(world: World) -> None:
    class Hanging(Shop):
        async def predict(self, request: Any) -> Any:
            if request.headers["x-slate-user-id"] == "user-00002":
                await asyncio.sleep(0.5)
            return await super().predict(request)

    shop = Hanging(list(world.tastes.items))
    traffic = played(world, shop)
    slow = sum(visit.user_id == "user-00002" for visit in visits(world, 1.0, DAYS))
    assert slow > 0
    assert traffic.asked == len(shop.asked)
    assert sum(seconds >= 0.5 for seconds in traffic.seconds) >= slow
