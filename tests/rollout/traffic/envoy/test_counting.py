"""What the gateway counts of each variant, block by block, through restarts of everybody."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.errors import GatewayError
from slate.rollout.judge.evidence import Block, Requests, Step
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.admin import Bucket, Counters, Reading, reading
from slate.rollout.traffic.envoy.driver import EnvoyDriver
from slate.rollout.traffic.envoy.statistics import between, from_mark, quantile, restarted, to_mark
from tests.rollout.traffic.envoy.backends import CRASH, FAIL, HANG
from tests.rollout.traffic.envoy.gateway import Gateway, step

EVERYBODY = Split("r1", "50", 10_000)


def counted(driver: EnvoyDriver, of: Step, wanted: int) -> Sequence[Block]:
    """The blocks once they hold so many of the candidate's requests."""
    ends = time.monotonic() + 30
    while True:
        blocks = driver.blocks(of, datetime.now(UTC))
        if sum(block.candidate.requests for block in blocks) >= wanted:
            return blocks
        assert time.monotonic() < ends, blocks
        time.sleep(0.05)


def errors(blocks: Sequence[Block]) -> tuple[int, int]:
    return sum(b.candidate.requests for b in blocks), sum(b.candidate.errors for b in blocks)


def test_requests_are_counted_by_variant(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, Split("r1", "50", 5000))
    here = step()
    assert driver.blocks(here, datetime.now(UTC)) == []
    met = [running.ask(f"u{number}").variant for number in range(60)]
    blocks = counted(driver, here, met.count("candidate"))
    assert sum(block.stable.requests for block in blocks) == met.count("stable")
    assert errors(blocks) == (met.count("candidate"), 0)


def test_every_way_to_fail_counts(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, EVERYBODY)
    here, server = step(), running.servers["candidate"]
    driver.blocks(here, datetime.now(UTC))
    for mode, status in ((FAIL, 500), (CRASH, 503), (HANG, 504)):
        server.mode = mode
        assert running.ask("u").status == status
    blocks = counted(driver, here, 3)
    assert errors(blocks) == (3, 3)
    assert sum(block.stable.errors for block in blocks) == 0


def test_slow_answers_show(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, EVERYBODY)
    here = step()
    driver.blocks(here, datetime.now(UTC))
    running.servers["candidate"].seconds = 0.3
    for number in range(3):
        running.ask(f"u{number}")
    # Envoy sums its threads' times up now and then: those of a block may come with the next one.
    ends = time.monotonic() + 30
    while not any((block.candidate.p99_ms or 0) >= 300 for block in driver.blocks(here, datetime.now(UTC))):
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_blocks_follow_each_other_without_gaps(running: Gateway, driver: EnvoyDriver) -> None:
    here, began = step(), datetime.now(UTC)
    blocks: Sequence[Block] = []
    while len(blocks) < 3:
        running.ask("u")
        blocks = driver.blocks(here, datetime.now(UTC))
    assert blocks[0].at >= began
    for early, late in pairwise(blocks):
        assert late.at == early.at + timedelta(seconds=early.seconds)
        assert early.seconds >= 0.2


def test_a_controller_that_takes_over_loses_nothing(
    running: Gateway, driver: EnvoyDriver, tmp_path: Path
) -> None:
    running.tell(driver, EVERYBODY)
    here = step()
    first, second = running.driver(tmp_path), running.driver(tmp_path)
    first.blocks(here, datetime.now(UTC))
    for number in range(7):
        running.ask(f"u{number}")
    assert errors(counted(second, here, 7)) == (7, 0)


def test_a_gateway_that_starts_again_counts_on(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, EVERYBODY)
    here = step()
    driver.blocks(here, datetime.now(UTC))
    for number in range(5):
        running.ask(f"u{number}")
    counted(driver, here, 5)
    running.kill()
    time.sleep(0.2)
    with pytest.raises(GatewayError, match="does not answer"):
        driver.blocks(here, datetime.now(UTC))
    running.restart()
    for number in range(4):
        running.ask(f"u{number}")
    assert errors(counted(driver, here, 9)) == (9, 0)


def test_steps_are_apart(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, EVERYBODY)
    early, late = step("25", 25.0), step("50", 50.0)
    driver.blocks(early, datetime.now(UTC))
    running.ask("u")
    counted(driver, early, 1)
    driver.blocks(late, datetime.now(UTC))
    running.ask("u")
    running.ask("u")
    assert errors(counted(driver, late, 2)) == (2, 0)


def test_a_clock_that_stands_still_makes_no_block(running: Gateway, driver: EnvoyDriver) -> None:
    here, now = step(), datetime.now(UTC)
    driver.blocks(here, now)
    time.sleep(0.25)
    assert driver.blocks(here, now) == []


def at(uptime: int, requests: int, failed: int = 0, *times: Bucket) -> Reading:
    return Reading(uptime, {"candidate": Counters(requests, failed, times)})


@pytest.mark.parametrize(
    ("before", "after", "elapsed", "again"),
    [
        (at(100, 50), at(110, 60), 10.0, False),
        (at(100, 50), at(110, 50), 10.4, False),
        (at(100, 50), at(3, 60), 10.0, True),
        (at(2, 5), at(7, 60), 3600.0, True),
        (at(100, 50), at(100, 4), 0.3, True),
    ],
)
def test_a_restart_is_seen(before: Reading, after: Reading, elapsed: float, again: bool) -> None:
    assert restarted(before, after, elapsed) is again
    requests = after.variants["candidate"].requests
    expected = requests if again else requests - before.variants["candidate"].requests
    assert between(before, after, elapsed)["candidate"].requests == expected


def test_times_of_a_block_are_those_since_the_last() -> None:
    before = at(10, 3, 1, Bucket(5, 0.1, 3))
    after = at(20, 6, 1, Bucket(5, 0.1, 4), Bucket(100, 10, 2))
    assert between(before, after, 10)["candidate"] == Requests(3, 0, pytest.approx(109.85))


def buckets(milliseconds: Sequence[int]) -> list[Bucket]:
    """As circllhist keeps them: two digits."""
    found: dict[tuple[float, float], int] = {}
    for value in milliseconds:
        width = 10.0 ** (len(str(value)) - 2) if value else 0.0
        low = value // width * width if width >= 1 else float(value)
        found[low, width] = found.get((low, width), 0) + 1
    return [Bucket(low, width, count) for (low, width), count in found.items()]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300), st.floats(0.01, 0.99))
def test_a_quantile_is_near_that_of_the_times_themselves(times: list[int], share: float) -> None:
    found = quantile(buckets(times), share)
    assert found is not None
    low, high = np.quantile(times, share, method="inverted_cdf"), max(times)
    assert found <= high + max(1, high // 10)
    assert abs(found - low) <= max(1.0, 0.1 * low) + 1e-9


def test_no_requests_have_no_quantile() -> None:
    assert quantile([], 0.99) is None
    assert quantile([Bucket(1, 0.1, 0)], 0.99) is None


def test_a_mark_comes_back() -> None:
    now = datetime.now(UTC)
    found = Reading(7, {"stable": Counters(3, 1, [Bucket(2, 0.1, 3)]), "candidate": Counters()})
    mark = from_mark(to_mark(found, 12.5, now))
    assert (mark.reading, mark.at, mark.now) == (
        Reading(7, {"stable": Counters(3, 1, [Bucket(2, 0.1, 3)]), "candidate": Counters(0, 0, [])}),
        12.5,
        now,
    )


@pytest.mark.parametrize("stats", [{}, {"stats": [{"name": "x"}]}, {"stats": [{"histograms": {}}]}])
def test_statistics_of_somebody_else_are_refused(stats: dict[str, object]) -> None:
    with pytest.raises(GatewayError, match="cannot be read"):
        reading(stats)
