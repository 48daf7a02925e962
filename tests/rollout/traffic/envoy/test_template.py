"""One template for both gateways: what a cluster applies is what Envoy is started with."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra_checks.render import K8S
from slate.errors import ConfigError
from slate.rollout.traffic.envoy.bootstrap import bootstrap
from slate.rollout.traffic.envoy.template import Template, read_template, template_folder

SERVERS = {"stable": 1, "candidate": 2, "shadow": 3, "events": 4}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(K8S / "base" / "gateway", tmp_path / "gateway")
    return tmp_path / "gateway"


def changed(folder: Path, kind: str, path: str, value: Any) -> Template:
    """The template with one setting of a policy changed, or taken out where the value is None."""
    file = folder / "policies.yaml"
    documents = list(yaml.safe_load_all(file.read_text()))
    node = next(each["spec"] for each in documents if each["kind"] == kind)
    *parents, last = path.split(".")
    for name in parents:
        node = node.setdefault(name, {})
    if value is None:
        del node[last]
    else:
        node[last] = value
    file.write_text(yaml.safe_dump_all(documents))
    return read_template(folder)


def started(template: Template) -> dict[str, Any]:
    return bootstrap(template, "/f", "/f/routes.json", 8000, 8001, SERVERS)


def test_it_is_the_clusters(folder: Path) -> None:
    assert template_folder() == K8S / "base" / "gateway"
    assert read_template().script == (K8S / "base" / "gateway" / "assign.lua").read_text()


@pytest.mark.parametrize(
    ("kind", "path", "value", "seen"),
    [
        ("ClientTrafficPolicy", "headers.earlyRequestHeaders.remove", ["x-new"], '"x-new"'),
        ("ClientTrafficPolicy", "timeout.http.requestReceivedTimeout", "1m17s", '"77.0s"'),
        ("ClientTrafficPolicy", "connection.bufferLimit", "3Ki", "3072"),
        ("ClientTrafficPolicy", "path.disableMergeSlashes", True, '"merge_slashes": false'),
        ("BackendTrafficPolicy", "timeout.tcp.connectTimeout", "123ms", '"0.123s"'),
        ("BackendTrafficPolicy", "timeout.http.connectionIdleTimeout", "71s", '"71.0s"'),
        ("BackendTrafficPolicy", "circuitBreaker.maxConnections", 1711, '"max_connections": 1711'),
        ("BackendTrafficPolicy", "circuitBreaker.maxPendingRequests", 1712, '"max_pending_requests": 1712'),
        ("BackendTrafficPolicy", "circuitBreaker.maxParallelRequests", 1713, '"max_requests": 1713'),
        ("BackendTrafficPolicy", "circuitBreaker.maxParallelRetries", 7, '"max_retries": 7'),
        ("BackendTrafficPolicy", "healthCheck.passive.interval", "17s", '"interval": "17.0s"'),
        ("BackendTrafficPolicy", "healthCheck.passive.baseEjectionTime", "19s", '"19.0s"'),
        ("BackendTrafficPolicy", "healthCheck.passive.consecutive5XxErrors", 23, '"consecutive_5xx": 23'),
        ("BackendTrafficPolicy", "healthCheck.passive.maxEjectionPercent", 29, "29"),
    ],
)
def test_what_the_policies_say_envoy_does(folder: Path, kind: str, path: str, value: Any, seen: str) -> None:
    before = json.dumps(started(read_template(folder)))
    after = json.dumps(started(changed(folder, kind, path, value)))
    assert seen in after
    assert before.count(seen) < after.count(seen)


def test_the_request_timeout_is_that_of_every_route(folder: Path) -> None:
    from slate.rollout.traffic.driver import Split
    from slate.rollout.traffic.envoy.routes import routes_file

    text = routes_file(Split(), changed(folder, "BackendTrafficPolicy", "timeout.http.requestTimeout", "9s"))
    assert text.count('"timeout": "9.0s"') == 6


def test_a_setting_that_only_a_cluster_knows_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"sets retry\.numRetries, which the gateway of one machine"):
        changed(folder, "BackendTrafficPolicy", "retry.numRetries", 2)


@pytest.mark.parametrize(
    ("kind", "path", "value", "problem"),
    [
        ("BackendTrafficPolicy", "timeout.http.requestTimeout", None, "does not set timeout.http.request"),
        ("BackendTrafficPolicy", "timeout.http.requestTimeout", "3 s", "is no duration"),
        ("ClientTrafficPolicy", "connection.bufferLimit", "5MB", "is no size"),
        ("ClientTrafficPolicy", "path.escapedSlashesAction", "KeepUnchanged", "is not RejectRequest"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    folder: Path, kind: str, path: str, value: Any, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        changed(folder, kind, path, value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_template(tmp_path)


def test_the_shadow_may_hold_least(folder: Path) -> None:
    clusters = {each["name"]: each for each in started(read_template())["static_resources"]["clusters"]}
    limits = {name: each["circuit_breakers"]["thresholds"][0] for name, each in clusters.items()}
    assert limits["stable"] == limits["candidate"]
    assert all(limits["shadow"][kind] <= 32 for kind in limits["shadow"])
    # Nobody else can answer in stable's place; for the others failing at once is better than waiting.
    panic = {name: each["common_lb_config"]["healthy_panic_threshold"] for name, each in clusters.items()}
    assert (panic["stable"], panic["candidate"], panic["shadow"]) == (
        {"value": 50},
        {"value": 0},
        {"value": 0},
    )
