import json
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient, Configuration

from infra_checks import manifests as rules
from infra_checks import schemas
from infra_checks.render import named
from slate.clock import SystemClock
from slate.config import GatewayConfig
from slate.errors import ConfigError, GatewayError
from slate.rollout.blocks import BlockLog
from slate.rollout.judge.evidence import Requests, Step
from slate.rollout.traffic.driver import Driver, Split
from slate.rollout.traffic.kubernetes.api import Api
from slate.rollout.traffic.kubernetes.driver import KubernetesDriver
from slate.rollout.traffic.kubernetes.figures import Prometheus
from slate.rollout.traffic.kubernetes.manifests import candidate_rule, inference_service, mirror
from slate.rollout.traffic.open import open_driver
from slate.storage import ObjectStore, open_store
from tests.infra.rendered import rendered
from tests.rollout.traffic.kubernetes.cluster import Cluster, counted, kubeconfig, replace, running

SHADOW = Split("r-1", "shadow", 0, 37.0)
FIVE = Split("r-1", "5", 500, 0.0)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(rendered("prod"))


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with running(cluster) as address:
        yield address


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path / "store")


@pytest.fixture
def driver(url: str, store: ObjectStore) -> KubernetesDriver:
    configuration = Configuration(host=url)
    configuration.retries = False
    config = GatewayConfig(driver="kubernetes", prometheus=url, block_s=5)
    return KubernetesDriver(config, Api("slate", ApiClient(configuration)), store)


def unfit(documents: list[Any]) -> list[str]:
    """What Kubernetes, or the published schemas, would not take."""
    folder = schemas.published()
    return schemas.problems(documents) + (schemas.published_problems(documents, folder) if folder else [])


def moved(cluster: Cluster) -> list[Any]:
    """The objects that a rollout changes."""
    return [
        cluster.object("httproutes", "slate-recommender"),
        cluster.object("envoyextensionpolicies", "slate-assignment"),
    ]


@pytest.mark.parametrize("split", [SHADOW, FIVE, Split("r-1", "50", 5000, 100)])
def test_what_is_told_is_what_is_said_and_fits(driver: Driver, cluster: Cluster, split: Split) -> None:
    driver.apply(split)
    assert driver.applied() == split
    assert unfit(moved(cluster)) + rules.problems(cluster.documents) == []
    assert cluster.context == {"salt": "r-1", "threshold": split.threshold, "step": split.step}
    count = len(cluster.patches)
    driver.apply(split)
    assert len(cluster.patches) == count
    driver.apply(Split())
    assert driver.applied() == Split()
    assert cluster.context == {"salt": "none", "threshold": 0, "step": "none"}
    assert unfit(moved(cluster)) == []


def test_a_share_of_less_than_a_percent_is_a_fraction(driver: Driver, cluster: Cluster) -> None:
    split = Split("r-1", "shadow", 0, 0.25)
    driver.apply(split)
    assert driver.applied() == split
    route = named(cluster.documents, "HTTPRoute", "slate-recommender")
    folder = schemas.published()
    assert route["spec"]["rules"][0]["filters"][0]["requestMirror"]["fraction"]["numerator"] == 2500
    assert folder is None or schemas.published_problems([route], folder) == []


def test_what_an_overlay_brings_tells_nobody_anything(cluster: Cluster, driver: Driver) -> None:
    assert driver.applied() == Split(mirror_percent=10.0)


def test_an_overlay_without_candidate_or_mirror_is_refused(cluster: Cluster, driver: Driver) -> None:
    cluster.documents[:] = rendered("gpu")
    driver.apply(Split())
    with pytest.raises(GatewayError, match="k8s/options/canary"):
        driver.apply(FIVE)
    with pytest.raises(GatewayError, match="k8s/options/shadow"):
        driver.apply(SHADOW)
    assert cluster.context["threshold"] == 0


def test_only_ready_pods_are_asked_which_release_they_have(driver: Driver, cluster: Cluster) -> None:
    assert driver.answering("candidate") == frozenset()
    cluster.pods = {"candidate": ["new", None, "old"], "stable": ["old"]}
    assert driver.answering("candidate") == {"new", "old"}
    assert driver.answering("stable") == {"old"}
    cluster.pods["candidate"][2] = "broken"
    with pytest.raises(GatewayError, match="pod candidate-2"):
        driver.answering("candidate")


def test_an_api_that_refuses_or_is_away_is_named(cluster: Cluster, url: str, store: ObjectStore) -> None:
    configuration = Configuration(host=url)
    configuration.retries = False
    config = GatewayConfig(driver="kubernetes")
    driver = KubernetesDriver(config, Api("slate", ApiClient(configuration)), store)
    cluster.refused = 403
    with pytest.raises(GatewayError, match="403 Forbidden; see the Role"):
        driver.apply(FIVE)
    gone = Configuration(host="http://127.0.0.1:1")
    gone.retries = False
    driver = KubernetesDriver(config, Api("slate", ApiClient(gone)), store)
    with pytest.raises(GatewayError, match="does not answer"):
        driver.applied()
    with pytest.raises(ConfigError, match=r"gateway\.prometheus"):
        Prometheus("")


def test_it_is_found_through_a_kubeconfig(
    cluster: Cluster, url: str, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What KUBECONFIG names is read when the client is imported.
    place = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(place, str(kubeconfig(tmp_path, url)))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    found = open_driver(GatewayConfig(driver="kubernetes"), store)
    found.apply(FIVE)
    assert cluster.context["threshold"] == 500


class TestBlocks:
    """What the proxies count becomes blocks, each request in one of them."""

    @pytest.fixture
    def step(self) -> Step:
        now = SystemClock().now()
        return Step("r-1", "5", 5.0, now, now)

    def test_counters_that_rise_become_blocks(
        self, driver: KubernetesDriver, cluster: Cluster, step: Step, store: ObjectStore
    ) -> None:
        now = step.started
        cluster.series = lambda: [*counted("0", 1000, 3), *counted("1", 70, 2)]
        assert driver.blocks(step, now) == []
        cluster.series = lambda: [*counted("0", 1100, 3), *counted("1", 90, 12, 40.0)]
        assert driver.blocks(step, now + timedelta(seconds=4)) == []
        (block,) = driver.blocks(step, now + timedelta(seconds=5))
        assert (block.at, block.seconds) == (now, 5.0)
        assert (block.stable.requests, block.stable.errors) == (100, 0)
        assert (block.candidate.requests, block.candidate.errors) == (20, 10)
        assert block.stable.p99_ms == pytest.approx(24.85)
        # Two controllers later, with a proxy that began again and a second one.
        other = KubernetesDriver(driver._config, driver._api, store)
        cluster.series = lambda: [
            *counted("0", 40, 1),
            *counted("0", 7, 0, proxy="p1"),
            *counted("1", 90, 12),
        ]
        blocks = other.blocks(step, now + timedelta(seconds=11))
        assert [each.stable for each in blocks[1:]] == [Requests(47, 1, pytest.approx(24.85))]
        assert blocks[1].candidate.requests == 0
        assert (blocks[1].at, blocks[1].seconds) == (now + timedelta(seconds=5), 6.0)
        assert len(BlockLog.of(store, step).blocks()) == 2

    def test_copies_are_those_of_the_mirror_s_cluster(
        self, driver: KubernetesDriver, cluster: Cluster, step: Step
    ) -> None:
        cluster.series = lambda: [*counted("0", 10, 0), *counted("0-mirror-0", 4, 1)]
        driver.shadow(step, step.started)
        cluster.series = lambda: [*counted("0", 30, 0), *counted("0-mirror-0", 14, 5)]
        found = driver.shadow(step, step.started + timedelta(seconds=5))
        assert (found.requests, found.errors) == (10, 4)

    def test_figures_that_are_missing_or_old_are_no_figures(
        self, driver: KubernetesDriver, cluster: Cluster, step: Step
    ) -> None:
        with pytest.raises(GatewayError, match="let it scrape the gateway's proxies"):
            driver.blocks(step, step.started)
        cluster.series = lambda: counted("0", 10, 0)
        cluster.scraped = 300.0
        with pytest.raises(GatewayError, match="300 s ago"):
            driver.blocks(step, step.started)
        cluster.refused = 503
        with pytest.raises(GatewayError):
            driver.blocks(step, step.started)


def test_the_move_by_hand_is_the_same_move(driver: Driver, cluster: Cluster) -> None:
    for split in (SHADOW, FIVE):
        text = driver.printed(split)
        commands, _, listed = text.partition("# The same as manifests, for kubectl apply -f -:\n")
        for line in commands.splitlines():
            words = shlex.split(line, comments=True)
            if "patch" in words:
                kind, name = words[words.index("patch") + 1 :][:2]
                document = cluster.object(
                    {"httproute": "httproutes"}.get(kind, "envoyextensionpolicies"), name
                )
                for operation in json.loads(words[words.index("-p") + 1]):
                    replace(document, operation)
        assert driver.applied() == split
        documents = list(yaml.safe_load_all(listed))
        assert unfit(documents) + unfit(moved(cluster)) == []
        assert [each["kind"] for each in documents[:2]] == ["HTTPRoute", "EnvoyExtensionPolicy"]
        services = [each["metadata"]["name"] for each in documents[2:]]
        assert services == ["recommender-stable", "recommender-candidate", "recommender-shadow"]


def test_manifests_are_those_of_the_options() -> None:
    documents = rendered("prod")
    route = named(documents, "HTTPRoute", "slate-recommender")
    assert candidate_rule() in route["spec"]["rules"]
    assert mirror(10.0) in route["spec"]["rules"][0]["filters"]
    for option, variant in (("canary", "candidate"), ("shadow", "shadow")):
        theirs = named(rendered(option), "InferenceService", f"recommender-{variant}")
        theirs["metadata"]["labels"].pop("app.kubernetes.io/part-of", None)
        assert inference_service(variant) == theirs


def test_the_role_allows_what_the_driver_asks() -> None:
    asked = {
        ("envoyextensionpolicies", "get"), ("envoyextensionpolicies", "patch"),
        ("httproutes", "get"), ("httproutes", "patch"), ("pods", "list"),
    }  # fmt: skip
    role = named(rendered("prod"), "Role", "slate-rollout")
    allowed = {
        (resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    assert asked <= allowed
