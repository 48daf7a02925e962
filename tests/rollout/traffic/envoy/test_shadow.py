"""Copies for the shadow cost users nothing, whatever it does."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.driver import EnvoyDriver
from tests.rollout.traffic.envoy.backends import CRASH, FAIL, HANG
from tests.rollout.traffic.envoy.gateway import Gateway, step

MIRRORED = Split("r1", "shadow", 0, 100.0)
REQUESTS = 400
CLIENTS = 8


def copies(running: Gateway, wanted: int) -> list[dict[str, str]]:
    shadow, ends = running.servers["shadow"], time.monotonic() + 20
    while len(shadow.asked) < wanted:
        assert time.monotonic() < ends
        time.sleep(0.01)
    return shadow.asked


def test_the_shadow_gets_what_stable_gets(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, MIRRORED)
    copies(running, 0)
    told = [running.ask(f"u{number}").headers for number in range(20)]
    known = {each["x-request-id"]: each for each in copies(running, 20)}
    for each in told:
        copy = known[each["x-request-id"]]
        assert copy["x-slate-variant"] == "stable"
        for name in ("x-slate-user-id", "x-slate-bucket", "x-slate-rollout", "x-slate-step", ":path"):
            assert copy[name] == each[name]


def test_half_of_it_where_half_is_wanted(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, Split("r1", "shadow", 0, 50.0))
    for number in range(400):
        running.ask(f"u{number}")
    assert 120 < len(copies(running, 120)) < 280


def test_the_candidates_requests_are_not_copied(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, Split("r1", "50", 10_000, 100.0))
    for number in range(20):
        assert running.ask(f"u{number}").variant == "candidate"
    running.ask()
    assert len(copies(running, 1)) == 1


def test_what_the_shadow_did_is_counted(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, MIRRORED)
    here = step("shadow", 0.0, "r-shadow")
    driver.shadow(here, datetime.now(UTC))
    running.servers["shadow"].mode = FAIL
    for number in range(10):
        running.ask(f"u{number}")
    running.servers["shadow"].mode = CRASH
    running.ask("u")
    ends = time.monotonic() + 20
    while (found := driver.shadow(here, datetime.now(UTC))).requests < 11:
        assert time.monotonic() < ends, found
        time.sleep(0.05)
    assert (found.requests, found.errors) == (11, 11)
    blocks = driver.blocks(here, datetime.now(UTC))
    assert sum(block.stable.requests for block in blocks) == 11
    assert sum(block.stable.errors + block.candidate.requests for block in blocks) == 0


def test_without_a_shadow_nobody_notices(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, Split("r1", "shadow", 0, 0.0))
    assert running.ask("u").status == 200
    assert running.servers["shadow"].asked == []


@pytest.mark.parametrize("mode", [FAIL, CRASH, HANG])
def test_a_sick_shadow_costs_nobody_anything(fresh: Gateway, tmp_path: Path, mode: str) -> None:
    fresh.tell(fresh.driver(tmp_path), MIRRORED)
    fresh.servers["shadow"].mode = mode
    statuses: list[int] = []

    def ask(first: int) -> None:
        client = fresh.client()
        statuses.extend(
            fresh.ask(f"u{number}", client=client).status for number in range(first, REQUESTS, CLIENTS)
        )
        client.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * REQUESTS
    assert 0 < fresh.servers["shadow"].most_at_once <= 64
