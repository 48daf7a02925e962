"""A server that cannot be reached is left out; where it is the only stable one, it is asked all the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.template import read_template
from tests.rollout.traffic.envoy.backends import ANSWER, CRASH, HANG
from tests.rollout.traffic.envoy.gateway import Gateway

FAILURES = read_template().ejection.failures


def test_a_candidate_that_crashes_is_not_asked_again_and_again(
    fresh: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    driver = fresh.driver(tmp_path_factory.mktemp("store"))
    fresh.tell(driver, Split("r1", "50", 10_000))
    candidate = fresh.servers["candidate"]
    candidate.mode = CRASH
    statuses = [fresh.ask(f"u{number}").status for number in range(40)]
    assert set(statuses) == {503}
    assert FAILURES <= len(candidate.asked) < 40
    fresh.tell(driver, Split("r1", "50", 0))
    assert fresh.ask("u1").variant == "stable"


def test_stable_is_asked_whatever_it_did(fresh: Gateway) -> None:
    stable = fresh.servers["stable"]
    stable.mode = CRASH
    assert {fresh.ask().status for _ in range(3 * FAILURES)} == {503}
    stable.mode = ANSWER
    assert fresh.ask().status == 200, "nobody else could answer"


def test_a_hung_candidate_fails_at_once_after_a_while(
    fresh: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fresh.tell(fresh.driver(tmp_path_factory.mktemp("store")), Split("r1", "50", 10_000))
    candidate = fresh.servers["candidate"]
    candidate.mode = HANG
    with ThreadPoolExecutor(FAILURES) as pool:
        clients = [fresh.client() for _ in range(FAILURES)]
        assert set(pool.map(lambda client: fresh.ask("u", client=client).status, clients)) == {504}
        for client in clients:
            client.close()
    asked = len(candidate.asked)
    assert fresh.ask("u").status == 503
    assert len(candidate.asked) == asked
