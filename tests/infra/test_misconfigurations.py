"""Mistakes put in on purpose: each must be found, and by the words that tell what is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra_checks import cloud, manifests, provider, schemas
from infra_checks.render import Document, named, of_kind
from infra_checks.terraform import load
from tests.infra.rendered import rendered

MODULES = Path(__file__).parents[2] / "terraform" / "modules"
Mistake = Callable[[list[Document]], Any]


def runtime(documents: list[Document]) -> Any:
    return named(documents, "ServingRuntime", "slate")["spec"]["containers"][0]


def predictor(documents: list[Document], variant: str = "candidate") -> Any:
    return named(documents, "InferenceService", f"recommender-{variant}")["spec"]["predictor"]


def held(documents: list[Document]) -> Any:
    return predictor(documents)["autoScaling"]["metrics"][1]["external"]


def route(documents: list[Document]) -> Any:
    return named(documents, "HTTPRoute", "slate-recommender")["spec"]["rules"]


def drop(documents: list[Document], kind: str, name: str) -> None:
    documents.remove(named(documents, kind, name))


MANIFESTS: dict[str, tuple[Mistake, str]] = {
    "a tag": (lambda d: runtime(d).update(image="r/slate-serving:latest"), "has no digest"),
    "root": (lambda d: runtime(d)["securityContext"].update(runAsNonRoot=False), "runAsNonRoot is not true"),
    "a writable image": (
        lambda d: runtime(d)["securityContext"].update(readOnlyRootFilesystem=False),
        "readOnlyRootFilesystem is not true",
    ),
    "a capability": (
        lambda d: runtime(d)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
        "capabilities are not all dropped",
    ),
    "no limits": (lambda d: runtime(d)["resources"].pop("limits"), "limits name no memory"),
    "KServe's own readiness": (
        lambda d: runtime(d)["readinessProbe"]["httpGet"].update(path="/v2/health/ready"),
        "only the model's own path waits",
    ),
    "a short start": (lambda d: runtime(d)["startupProbe"].update(failureThreshold=3), "gives up before"),
    "no replicas": (lambda d: predictor(d).update(minReplicas=0), "may fall to no replicas"),
    "replicas left out": (lambda d: predictor(d).pop("minReplicas"), "minReplicas: Field required"),
    "a canary that Standard mode ignores": (
        lambda d: predictor(d, "stable").update(canaryTrafficPercent=5),
        "means nothing in Standard mode",
    ),
    "the wrong channel": (
        lambda d: predictor(d)["model"].update(args=["--store=s", "--channel=stable", "--variant=candidate"]),
        "follows another channel",
    ),
    "a misspelt field": (lambda d: predictor(d).update(maxReplica=3), "Extra inputs are not permitted"),
    "a misspelt field of Kubernetes'": (
        lambda d: named(d, "Deployment", "slate-rollout")["spec"].update(replica=2),
        "replica",
    ),
    "an unknown account": (
        lambda d: predictor(d).update(serviceAccountName="default"),
        "service account default does not exist",
    ),
    "a token for everybody": (
        lambda d: named(d, "ServiceAccount", "slate-serving").update(automountServiceAccountToken=True),
        "automountServiceAccountToken is not false",
    ),
    "metrics outside": (
        lambda d: route(d)[0]["matches"][0]["path"].update(value="/metrics"),
        "/metrics is open to the outside",
    ),
    "a route to nothing": (
        lambda d: route(d)[0]["backendRefs"][0].update(name="recommender-stable"),
        "no service recommender-stable:80",
    ),
    "a shadow that answers": (
        lambda d: route(d)[0]["backendRefs"].append({"name": "recommender-shadow-predictor", "port": 80}),
        "a shadow answers users",
    ),
    "KServe's own route": (
        lambda d: named(d, "InferenceService", "recommender-stable")["metadata"]["labels"].pop(
            "networking.kserve.io/visibility"
        ),
        "opens a route of its own",
    ),
    "no default": (lambda d: drop(d, "NetworkPolicy", "default-deny"), "nothing denies by default"),
    "a hole for all": (
        lambda d: named(d, "NetworkPolicy", "gateway-to-serving")["spec"]["ingress"][0].pop("from"),
        "ingress names nobody",
    ),
    "a way out to everywhere": (
        lambda d: named(d, "NetworkPolicy", "to-cloud")["spec"]["egress"][0]["to"][0]["ipBlock"].update(
            {"except": []}
        ),
        "open to every address",
    ),
    "a policy for nobody": (
        lambda d: named(d, "NetworkPolicy", "gateway-to-events")["spec"]["podSelector"].update(
            matchLabels={"app": "event"}
        ),
        "selects no pod",
    ),
    "no budget": (lambda d: drop(d, "PodDisruptionBudget", "recommender-stable"), "no disruption budget"),
    "a budget that forbids drains": (
        lambda d: named(d, "PodDisruptionBudget", "slate-events")["spec"].update(maxUnavailable=0),
        "forbids every drain",
    ),
    "a secret written down": (
        lambda d: runtime(d)["env"].append({"name": "SLATE_API_KEYS", "value": "abc"}),
        "is written down",
    ),
    "a secret in the tree": (
        lambda d: d.append({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"k": "YWJj"},
        }),
        "holds a value",
    ),
    "a wildcard": (
        lambda d: of_kind(d, "Role")[0]["rules"][0].update(verbs=["*"]),
        "a wildcard",
    ),
    "a right on every route": (
        lambda d: of_kind(d, "Role")[0]["rules"][1].pop("resourceNames"),
        "without naming which",
    ),
    "a threshold of percent": (
        lambda d: named(d, "EnvoyExtensionPolicy", "slate-assignment")["spec"]["lua"][0].update(
            filterContext={"salt": "r1", "threshold": "5%", "step": "5"}
        ),
        "threshold",
    ),
    "variants from outside": (
        lambda d: of_kind(d, "ClientTrafficPolicy")[0]["spec"]["headers"].update(
            earlyRequestHeaders={"remove": ["x-slate-bucket"]}
        ),
        "x-slate-variant is taken from outside",
    ),
    "a metric that nobody follows": (
        lambda d: named(d, "InferenceService", "recommender-stable")["metadata"]["annotations"].update(
            {"serving.kserve.io/autoscalerClass": "hpa"}
        ),
        "only keda does",
    ),
    "scaled by another variant": (
        lambda d: held(d)["metric"].update(query='sum(slate_requests_held{variant="stable"})'),
        "what another variant does",
    ),
    "a target that KServe does not read": (
        lambda d: held(d).update(target={"type": "AverageValue", "averageValue": "4"}),
        "target.type",
    ),
    "parts that nobody computes": (
        lambda d: named(d, "CronJob", "slate-batch")["spec"]["jobTemplate"]["spec"].update(completions=3),
        "3 pods do parts of 4",
    ),
    "a service beside the gateway": (
        lambda d: named(d, "Service", "slate-events")["spec"].update(type="LoadBalancer"),
        "open beside the gateway",
    ),
    "a host's folder": (
        lambda d: named(d, "Deployment", "slate-events")["spec"]["template"]["spec"]["volumes"].append(
            {"name": "host", "hostPath": {"path": "/"}}
        ),
        "hostPath host",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_mistake_in_a_manifest_is_found(name: str) -> None:
    mistake, words = MANIFESTS[name]
    documents = rendered("prod")
    mistake(documents)
    found = schemas.problems(documents) + manifests.problems(documents)
    assert any(words in problem for problem in found), found


TERRAFORM: dict[str, tuple[str, str, str, str]] = {
    "a misspelt argument": (
        "storage",
        "public_access_prevention",
        "public_access_preventon",
        "unknown argument public_access_preventon",
    ),
    "a removed argument": (
        "gke",
        "enable_intranode_visibility = true",
        "enable_binary_authorization = true",
        "unknown argument enable_binary_authorization",
    ),
    "a misspelt block": ("valkey", "aof_config {", "aof_configs {", "unknown argument aof_configs"),
    "a missing argument": ("registry", 'format        = "DOCKER"', "", "format is missing"),
    "a wrong type": ("gke", "disabled = true", 'disabled = "yes"', "is not a bool"),
    "an attribute that does not exist": (
        "gke",
        "google_service_account.nodes.email",
        "google_service_account.nodes.mail",
        "has no attribute mail",
    ),
    "an unknown variable": (
        "network",
        "var.ranges.pods",
        "var.range.pods",
        "var.range is used and not declared",
    ),
    "an unknown resource": (
        "valkey",
        "google_memorystore_instance",
        "google_redis_server",
        "no such resource",
    ),
    "an unknown output": (
        "slate",
        "module.storage.releases",
        "module.storage.release",
        "module storage has no output release",
    ),
    "fine-grained access": (
        "storage",
        "uniform_bucket_level_access = true",
        "uniform_bucket_level_access = false",
        "access is not uniform",
    ),
    "a locked bucket": (
        "storage",
        "soft_delete_policy {",
        "retention_policy {\n    retention_period = 1\n  }\n  soft_delete_policy {",
        "forbids replacing channels",
    ),
    "everybody": (
        "identity",
        'member = google_service_account.this["pipeline"].member',
        'member = "allUsers"',
        "granted to everybody",
    ),
    "a broad role": ("identity", "roles/storage.objectUser", "roles/storage.admin", "is too broad"),
    "a role on the project": (
        "gke",
        "roles/container.defaultNodeServiceAccount",
        "roles/editor",
        "on the whole project",
    ),
    "public nodes": (
        "gke",
        "enable_private_nodes    = true",
        "enable_private_nodes    = false",
        "public addresses",
    ),
    "pods as the node": ("gke", '"GKE_METADATA"', '"GCE_METADATA"', "pods can act as the node"),
    "a cache": ("valkey", 'mode = "AOF"', 'mode = "DISABLED"', "loses acknowledged events"),
    "evictions": ("valkey", '"noeviction"', '"allkeys-lru"', "forgets events"),
    "a floating chart": ("platform", "version    = var.versions.kserve", "", "kserve: no version"),
    "the internet": ("network", "[var.ranges.masters]", '["0.0.0.0/0"]', "open to the internet"),
}


@pytest.mark.parametrize("name", TERRAFORM)
def test_a_mistake_in_terraform_is_found(name: str, tmp_path: Path) -> None:
    module, right, wrong, words = TERRAFORM[name]
    changed = 0
    for source in sorted(MODULES.glob("*/*.tf")):
        text = source.read_text()
        if source.parent.name == module:
            changed += text.count(right)
            text = text.replace(right, wrong)
        (tmp_path / source.parent.name).mkdir(exist_ok=True)
        (tmp_path / source.parent.name / source.name).write_text(text)
    assert changed, "the mistake is not in the module any more"
    loaded = load(tmp_path / module)
    found = provider.problems(loaded) + cloud.problems(loaded)
    assert any(words in problem for problem in found), found
