"""Moves: what the gateway is told, what it says, and that nobody notices."""

import contextlib
import http.client
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.config import GatewayConfig
from slate.errors import GatewayError
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.admin import Admin
from slate.rollout.traffic.envoy.driver import EnvoyDriver
from slate.rollout.traffic.envoy.files import ROUTES, replace
from slate.rollout.traffic.envoy.routes import routes_file, split_of, version_of
from slate.rollout.traffic.envoy.template import read_template
from slate.storage import open_store
from tests.rollout.traffic.envoy.backends import FAIL
from tests.rollout.traffic.envoy.gateway import Gateway

CHANGES = 100
CLIENTS = 4

splits = st.builds(
    Split,
    rollout_id=st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=80).filter(
        lambda text: text != "none"
    ),
    step=st.sampled_from(["shadow", "1", "0.5", "50", "thompson"]),
    threshold=st.integers(0, 10_000),
    mirror_percent=st.integers(0, 100_000).map(lambda parts: parts / 1000),
)


@given(split=splits | st.just(Split()))
def test_a_file_says_what_was_told(split: Split) -> None:
    template = read_template()
    text = routes_file(split, template)
    found = split_of(text)
    assert (found.rollout_id, found.step, found.threshold) == (split.rollout_id, split.step, split.threshold)
    assert found.mirror_percent == pytest.approx(split.mirror_percent)
    assert version_of(text) == version_of(routes_file(split, template))


def test_two_moves_have_two_versions() -> None:
    template = read_template()
    told = [Split(), Split("r", "5", 500), Split("r", "5", 501), Split("r", "25", 500), Split("s", "5", 500)]
    told.append(Split("r", "5", 500, 50.0))
    assert len({version_of(routes_file(split, template)) for split in told}) == len(told)


def test_nobody_fails_over_a_hundred_changes(running: Gateway, driver: EnvoyDriver) -> None:
    stop, answered, failed = threading.Event(), [0] * CLIENTS, []

    def ask(number: int) -> None:
        client = running.client()
        while not stop.is_set():
            try:
                found = running.ask(f"user-{number}-{answered[number]}", client=client)
                if found.status != 200:
                    failed.append(str(found.status))
            except (OSError, http.client.HTTPException) as error:
                failed.append(repr(error))
                client.close()
            answered[number] += 1
        client.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        for change in range(CHANGES):
            driver.apply(Split("r1", "50", 100 * change, mirror_percent=50.0 * (change % 3)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert min(answered) > 20
    assert running.servers["candidate"].asked, "the changes had their effect"


def met(running: Gateway) -> set[str]:
    """The variants that 20 users meet, each on a connection of its own."""
    found = set()
    for number in range(20):
        with contextlib.closing(running.client()) as client:
            found.add(running.ask(f"u{number}", client=client).variant)
    return found


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends


def test_users_follow_a_move(running: Gateway, driver: EnvoyDriver) -> None:
    for threshold in (10_000, 0, 10_000, 0):
        driver.apply(Split("r1", "50", threshold))
        assert driver.applied() == Split("r1", "50", threshold)
        wanted = "candidate" if threshold else "stable"
        until(lambda wanted=wanted: met(running) == {wanted})


def test_the_same_move_again_changes_nothing(running: Gateway, driver: EnvoyDriver) -> None:
    driver.apply(Split("r1", "5", 500))
    written = (running.folder / ROUTES).stat().st_ino
    driver.apply(Split("r1", "5", 500))
    assert (running.folder / ROUTES).stat().st_ino == written


def test_the_printed_move_is_the_move(running: Gateway, driver: EnvoyDriver) -> None:
    split = Split("r1", "25", 2500, 10.0)
    subprocess.run(["bash", "-c", driver.printed(split)], check=True)
    assert driver.applied() == split
    driver.apply(split)
    running_version = Admin(running.places.admin).routes_version()
    assert running_version == version_of((running.folder / ROUTES).read_text())


def test_a_gateway_that_starts_again_goes_on(running: Gateway, driver: EnvoyDriver) -> None:
    split = Split("r1", "50", 10_000)
    driver.apply(split)
    running.kill()
    with pytest.raises(GatewayError, match="does not answer"):
        driver.apply(Split("r1", "50", 9_999))
    running.restart()
    assert driver.applied() == Split("r1", "50", 9_999)
    driver.apply(Split("r1", "50", 9_999))
    assert running.ask("user-1").variant == "candidate"


def test_a_move_that_envoy_missed_is_made_again(running: Gateway, driver: EnvoyDriver) -> None:
    missed = Split("r1", "50", 10_000)
    # Written in place, which nobody is told of.
    (running.folder / ROUTES).write_text(routes_file(missed, read_template()))
    assert driver.applied() is None
    running.tell(driver, missed)
    assert running.ask("u").variant == "candidate"


def test_a_file_that_envoy_cannot_take_is_said(
    running: Gateway, driver: EnvoyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slate.rollout.traffic.envoy.driver._TOLD_SECONDS", 0.3)
    text = routes_file(Split("r1", "5", 500), read_template())
    with monkeypatch.context() as broken:
        broken.setattr(
            "slate.rollout.traffic.envoy.driver.routes_file",
            lambda *_: text.replace('"cluster": "stable"', '"cluster": "nobody"').replace("3.0s", "soon"),
        )
        with pytest.raises(GatewayError, match="does not take over"):
            driver.apply(Split("r1", "5", 500))
        assert driver.applied() is None, "it was told, and does something else"
    assert running.ask("u").variant == "stable", "it goes by what it took before"
    running.tell(driver, Split("r1", "5", 10_000))
    assert running.ask("u").variant == "candidate"


def test_releases_that_answer(running: Gateway, driver: EnvoyDriver) -> None:
    assert driver.answering("candidate") == {"release-of-candidate"}
    running.servers["candidate"].mode = FAIL
    assert driver.answering("candidate") == frozenset()
    assert driver.answering("nobody") == frozenset()


def test_without_a_gateway(tmp_path: Path) -> None:
    driver = EnvoyDriver(GatewayConfig(folder=str(tmp_path / "none")), open_store(str(tmp_path / "store")))
    assert driver.applied() is None
    with pytest.raises(GatewayError, match="slate up"):
        driver.apply(Split())
    replace(tmp_path / "none" / ROUTES, "{}")
    with pytest.raises(GatewayError, match="cannot be read"):
        driver.applied()


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match="cannot be written"):
        replace(tmp_path / "file" / ROUTES, "{}")
