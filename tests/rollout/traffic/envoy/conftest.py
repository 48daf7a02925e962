"""One gateway for the tests of a file."""

from collections.abc import Iterator

import pytest

from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.driver import EnvoyDriver
from tests.rollout.traffic.envoy.backends import ANSWER
from tests.rollout.traffic.envoy.gateway import Gateway, gateway


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture
def driver(running: Gateway, tmp_path_factory: pytest.TempPathFactory) -> EnvoyDriver:
    """Tells the gateway; everything is well at first, and everybody meets stable."""
    for server in running.servers.values():
        server.mode, server.seconds, server.most_at_once = ANSWER, 0.0, 0
        server.asked.clear()
    found = running.driver(tmp_path_factory.mktemp("store"))
    found.apply(Split())
    return found


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that no other test has to do with: it remembers who failed."""
    with gateway(tmp_path_factory.mktemp("fresh")) as started:
        yield started
