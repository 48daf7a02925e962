"""``slate rollout`` as people use it, on a real store and a cluster that answers over HTTP."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from slate.cli.main import app
from slate.errors import ConfigError, ConflictError, NotFoundError, RolloutError
from slate.release.channels import read_channel
from slate.rollout.lease import LEASE
from slate.rollout.verdicts import last_verdict
from tests.infra.rendered import rendered
from tests.release.conftest import make_release
from tests.rollout.bench import World, world
from tests.rollout.test_kill import write_config
from tests.rollout.traffic.kubernetes.cluster import Cluster, counted, kubeconfig, running

__all__ = ["make_release"]


@dataclass
class Desk:
    """A person, a store and a cluster."""

    world: World
    cluster: Cluster
    config: Path
    folder: Path
    url: str

    def run(self, *words: str) -> Result:
        options = ["--store", self.world.store.uri, "--config", str(self.config)]
        return CliRunner().invoke(app, ["rollout", *words, *options])

    def said(self, *words: str) -> Any:
        result = self.run(*words, "--json")
        assert result.exception is None, result.output
        return json.loads(result.stdout)

    def failed(self, *words: str) -> BaseException:
        result = self.run(*words)
        assert result.exception is not None, result.output
        return result.exception


@pytest.fixture
def desk(tmp_path: Path, make_release: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = world(tmp_path, make_release)
    cluster = Cluster(rendered("prod"), pods={"stable": [made.old], "candidate": [made.new]})
    cluster.series = lambda: counted("0", 100, 0)
    with running(cluster) as url:
        place = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
        monkeypatch.setattr(place, str(kubeconfig(tmp_path, url)))
        yield Desk(made, cluster, write_config(tmp_path, url), tmp_path, url)


def test_a_rollout_by_hand_from_start_to_promotion(desk: Desk) -> None:
    assert isinstance(desk.failed("status"), NotFoundError)
    started = desk.said("start", desk.world.new)
    assert isinstance(desk.failed("start", desk.world.new), ConflictError)
    rollout_id = started["rollout_id"]
    assert desk.said("status")["status"] == "shadow"
    assert "nobody has looked yet" in desk.run("status").output
    # One look, which finds nothing to compare.
    looked = desk.said("step")
    assert (looked["status"], looked["verdict"], looked["decision"]) == ("shadow", 1, "hold")
    assert desk.cluster.context == {"salt": rollout_id, "threshold": 0, "step": "shadow"}
    assert isinstance(desk.failed("step", "--force"), ConfigError)
    stepped = desk.said("step", "--force", "--reason", "in a hurry")
    assert (stepped["status"], stepped["step"], stepped["threshold"]) == ("canary", "10", 1000)
    assert desk.cluster.context == {"salt": rollout_id, "threshold": 1000, "step": "10"}
    error = desk.failed("promote")
    assert isinstance(error, RolloutError)
    assert "wait for a verdict that promotes" in str(error)
    desk.cluster.pods["stable"] = [desk.world.new]
    promoted = desk.said("promote", rollout_id, "--force", "--reason", "good")
    assert (promoted["status"], promoted["threshold"]) == ("promoted", 0)
    stable = read_channel(desk.world.store, "stable")
    assert stable is not None
    assert stable.release_id == desk.world.new
    assert desk.cluster.context["threshold"] == 0
    found = desk.said("status")
    assert [(move["status"], move["step"], move["verdict"]) for move in found["history"]] == [
        ("shadow", "shadow", None), ("canary", "10", 2), ("promoting", "10", 3), ("promoted", "10", None),
    ]  # fmt: skip
    person = found["history"][1]["by"]
    assert person not in ("", "controller")
    assert found["verdict"]["forced_by"] == person
    shown = desk.run("status").output
    assert "in a hurry (verdict 2)" in " ".join(shown.split())
    assert isinstance(desk.failed("step"), RolloutError)


def test_an_abort_says_why_and_lands_without_a_controller(desk: Desk) -> None:
    desk.said("start", desk.world.new)
    desk.said("step", "--force", "--reason", "look")
    assert desk.run("abort").exit_code == 2
    assert isinstance(desk.failed("abort", "--reason", " "), ConfigError)
    ended = desk.said("abort", "--reason", "users complain")
    assert (ended["status"], ended["threshold"]) == ("aborted", 0)
    assert desk.cluster.context["threshold"] == 0
    assert isinstance(desk.failed("abort", "--reason", "again"), RolloutError)
    assert "users complain" in desk.run("status").output


def test_a_step_that_the_candidate_is_not_ready_for_stays_recorded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slate.cli.rollout_options.PATIENCE_SECONDS", 1.0)
    desk.said("start", desk.world.new)
    desk.cluster.pods["candidate"] = [desk.world.old]
    error = desk.failed("step", "--force", "--reason", "look")
    assert "verdict 1 is recorded" in str(error)
    assert desk.cluster.context["threshold"] == 0


def test_every_move_can_be_printed_and_is_then_not_made(desk: Desk) -> None:
    patch = "kubectl -n slate patch envoyextensionpolicy slate-assignment"
    before = desk.cluster.context
    started = desk.run("start", desk.world.new, "--print").stdout
    assert f"slate releases promote {desk.world.new} --channel candidate" in started
    assert patch in started
    assert isinstance(desk.failed("status"), NotFoundError)
    rollout_id = desk.said("start", desk.world.new)["rollout_id"]
    stepped = desk.run("step", "--print").stdout
    assert f'{{"salt": "{rollout_id}", "threshold": 1000, "step": "10"}}' in stepped
    assert "kind: HTTPRoute" in stepped
    assert "name: recommender-candidate" in stepped
    for words in (("promote", "--print"), ("abort", "--reason", "x", "--print")):
        printed = desk.run(*words).stdout
        assert '{"salt": "none", "threshold": 0, "step": "none"}' in printed
    assert "--channel stable" in desk.run("promote", "--print").stdout
    assert desk.said("status")["status"] == "shadow"
    assert desk.cluster.context == before


def test_one_watches_the_others_ask_it_and_sigterm_gives_the_lease_back(desk: Desk) -> None:
    desk.said("start", desk.world.new)
    words = ["rollout", "watch", "--store", desk.world.store.uri, "--config", str(desk.config)]
    environment = {**os.environ, "KUBECONFIG": str(desk.folder / "kubeconfig")}
    command = [sys.executable, "-m", "slate.cli.main", *words, "--metrics-port", "0"]
    log = desk.folder / "watch.log"
    with log.open("w") as sink, subprocess.Popen(command, stderr=sink, env=environment) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        while "watching" not in log.read_text() and process.poll() is None:
            time.sleep(0.05)
        looked = desk.said("step")
        assert looked["decision"] == "hold"
        stepped = desk.said("step", "--force", "--reason", "ask the other")
        assert stepped["step"] == "10"
        port = log.read_text().partition("/metrics on port ")[2].split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"} 0.1\n" in answer.read()
        assert json.loads(desk.world.store.read(LEASE))["holder"].split("-")[-2] == str(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0, log.read_text()
        watchdog.cancel()
    assert json.loads(desk.world.store.read(LEASE))["holder"] == ""
    text = log.read_text()
    assert "Traceback" not in text
    assert "canary, step 10, threshold 1000" in text
    assert last_verdict(desk.world.store, stepped["rollout_id"]) is not None


def test_a_controller_loads_no_model_code() -> None:
    modules = "slate.cli.rollout_watch, slate.rollout.watch, slate.rollout.controller, slate.rollout.gather"
    code = f"import sys, {modules}; print(*sorted(sys.modules.keys() & {{'tensorflow', 'scann', 'kfp'}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
