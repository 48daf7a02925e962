"""What each overlay and option renders to, against schemas and rules."""

import json
import re

import pytest
from promql_parser import parse

from infra_checks import manifests, schemas
from infra_checks.images import put
from infra_checks.pods import pods
from infra_checks.render import K8S, named, of_kind
from slate.errors import ConfigError
from tests.infra.rendered import EVERY, OVERLAYS, rendered

METRICS = {
    "slate_drift",
    "slate_drift_limit",
    "slate_empty_slates_total",
    "slate_events_total",
    "slate_exposures_dropped_total",
    "slate_filtered_items_total",
    "slate_monitor_success_timestamp_seconds",
    "slate_precomputed_age_seconds_bucket",
    "slate_queue_depth",
    "slate_release_data_age_seconds",
    "slate_release_info",
    "slate_requests_held",
    "slate_requests_total",
    "slate_rollout_weight",
    "slate_shed_total",
    "slate_slates_total",
    "slate_stage_seconds_bucket",
}


@pytest.mark.parametrize("name", EVERY)
def test_kubernetes_would_accept_every_document(name: str) -> None:
    assert schemas.problems(rendered(name)) == []


@pytest.mark.parametrize("name", EVERY)
def test_published_schemas_accept_every_custom_resource(name: str) -> None:
    folder = schemas.published()
    if folder is None:
        pytest.skip(f"{schemas.PUBLISHED} names no folder of published schemas")
    assert schemas.published_problems(rendered(name), folder) == []


@pytest.mark.parametrize("name", EVERY)
def test_no_rule_is_broken(name: str) -> None:
    assert manifests.problems(rendered(name)) == []


@pytest.mark.parametrize("name", EVERY)
def test_everything_has_a_namespace_and_stands_once(name: str) -> None:
    documents = rendered(name)
    cluster = {"ClusterImagePolicy", "GatewayClass", "Namespace", "ValidatingAdmissionPolicy"}
    cluster |= {"ValidatingAdmissionPolicyBinding"}
    for document in documents:
        wanted = None if document["kind"] in cluster else "slate"
        assert document["metadata"].get("namespace") == wanted, schemas.where(document)
    keys = [schemas.where(document) for document in documents]
    assert len(keys) == len(set(keys))


def test_what_nobody_overrode_cannot_be_pulled() -> None:
    images = {container["image"] for pod in pods(rendered("canary")) for container in pod.containers}
    assert len(images) == 2
    assert all(re.fullmatch(r"registry\.invalid/[a-z-]+@sha256:0{64}", image) for image in images)


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlays_take_every_image_from_a_registry_of_their_own(name: str) -> None:
    images = [container["image"] for pod in pods(rendered(name)) for container in pod.containers]
    assert images
    assert not [image for image in images if "registry.invalid" in image]


def test_digests_are_put_into_an_overlay() -> None:
    text = (K8S / "overlays" / "dev" / "kustomization.yaml").read_text()
    changed = put(text, "europe/p/slate/slate-serving@sha256:" + "ab" * 32)
    assert changed.count("ab" * 32) == 1
    assert changed.count("0" * 64) == text.count("0" * 64) - 1
    assert "newName: europe/p/slate/slate-serving\n" in changed
    assert changed.startswith(text.splitlines()[0])
    with pytest.raises(ConfigError, match="no image"):
        put(text, "europe/p/slate/other@sha256:" + "ab" * 32)
    with pytest.raises(ConfigError, match="not pinned"):
        put(text, "europe/p/slate/slate-serving:latest")


def test_candidates_are_met_by_header_alone_and_the_shadow_by_nobody() -> None:
    route = named(rendered("prod"), "HTTPRoute", "slate-recommender")
    by_name = {rule["name"]: rule for rule in route["spec"]["rules"]}
    assert set(by_name) == {"stable", "candidate"}
    for match in by_name["candidate"]["matches"]:
        assert match["headers"] == [{"type": "Exact", "name": "x-slate-variant", "value": "candidate"}]
    assert not any("headers" in match for match in by_name["stable"]["matches"])
    (mirror,) = by_name["stable"]["filters"]
    assert mirror["requestMirror"]["backendRef"]["name"] == "recommender-shadow-predictor"


def test_a_pinned_release_is_fetched_by_kserve_and_follows_nothing() -> None:
    model = named(rendered("pinned-release"), "InferenceService", "recommender-stable")["spec"]["predictor"][
        "model"
    ]
    assert model["storageUri"].startswith("gs://")
    assert model["args"] == ["--model_dir=/mnt/models", "--variant=stable"]


def test_draining_ends_before_the_pod_is_killed() -> None:
    from slate.config import ServingConfig

    config = ServingConfig()
    for pod in pods(rendered("prod")):
        if pod.owner.startswith("InferenceService"):
            assert pod.spec["terminationGracePeriodSeconds"] > config.drain_s + config.grace_s


def expressions() -> list[str]:
    (rules,) = of_kind(rendered("prod"), "PrometheusRule")
    alerts = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    dashboard = json.loads((K8S / "options" / "monitoring" / "dashboard.json").read_text())
    scaling = [
        metric["external"]["metric"]["query"]
        for service in of_kind(rendered("prod"), "InferenceService")
        for metric in service["spec"]["predictor"]["autoScaling"]["metrics"]
        if metric["type"] == "External"
    ]
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return alerts + scaling + shown


def test_every_query_is_promql_over_metrics_that_exist() -> None:
    recorded = {f"slate:errors:ratio_{window}" for window in ("5m", "30m", "1h", "6h")}
    for expression in expressions():
        parse(expression)
        bare = re.sub(r"by \([^)]*\)|\{[^}]*\}", "", expression)
        names = set(re.findall(r"\bslate[_:][\w:]+", bare))
        assert names, expression
        assert names <= METRICS | recorded, expression


def test_every_variant_scales_by_the_requests_it_holds_and_by_its_cpu() -> None:
    for service in of_kind(rendered("prod"), "InferenceService"):
        metrics = service["spec"]["predictor"]["autoScaling"]["metrics"]
        assert [metric["type"] for metric in metrics] == ["Resource", "External"]
        assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "keda"


def test_alerts_lead_to_a_heading_of_the_guide() -> None:
    (rules,) = of_kind(rendered("prod"), "PrometheusRule")
    guide = (K8S.parent / "docs" / "guides" / "deploy-on-gke.md").read_text()
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 10
    for alert in alerts:
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert re.search(rf"^#+ {re.escape(alert['annotations']['runbook'])}$", guide, re.MULTILINE), alert


@pytest.mark.parametrize(
    ("image", "admitted"),
    [
        ("r/slate@sha256:" + "a" * 64, True),
        ("r/slate:v1@sha256:" + "a" * 64, True),
        ("r/slate:latest", False),
        ("r/slate@sha256:abc", False),
        ("r/slate@sha256:" + "A" * 64, False),
    ],
)
def test_the_admission_policy_admits_digests_only(image: str, admitted: bool) -> None:
    policy = named(rendered("prod"), "ValidatingAdmissionPolicy", "slate-images")
    (validation,) = policy["spec"]["validations"]
    (pattern,) = re.findall(r"image\.matches\('(.*)'\)", validation["expression"])
    assert bool(re.search(pattern, image)) is admitted
    assert policy["spec"]["failurePolicy"] == "Fail"
