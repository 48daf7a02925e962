"""What a reviewer would refuse in manifests, as rules over the rendered documents."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from infra_checks.pods import Pod, pods
from infra_checks.render import Document, of_kind
from infra_checks.schemas import where

_DIGEST: Final = re.compile(r"^[^@\s]+@sha256:[0-9a-f]{64}$")
# Secrets that people make, with values that no manifest may hold (docs/guides/deploy-on-gke.md).
SECRETS: Final = frozenset({"slate-signing-keys", "slate-api-keys", "slate-redis", "slate-gateway-tls"})
CONFIG_BY_HAND: Final = frozenset({"slate-valkey"})
_SECRET_NAME: Final = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|URL", re.IGNORECASE)
_PATHS: Final = frozenset({"/v1/models", "/v2/models", "/v1/events", "/v1/items"})

Rule = Callable[[list[Document]], Iterator[str]]


def problems(documents: list[Document]) -> list[str]:
    """What breaks a rule, by kind and name."""
    return [problem for rule in RULES for problem in rule(documents)]


def images(documents: list[Document]) -> Iterator[str]:
    """Every image is named by digest."""
    for pod, container in _containers(documents):
        if not _DIGEST.match(container["image"]):
            yield f"{pod.owner}: image {container['image']} has no digest"


def restricted(documents: list[Document]) -> Iterator[str]:
    """Pods meet the restricted profile, and their root file system is read-only."""
    for pod in pods(documents):
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(name):
                yield f"{pod.owner}: {name}"
        for volume in pod.spec.get("volumes", []):
            if "hostPath" in volume:
                yield f"{pod.owner}: hostPath {volume['name']}"
        if not pod.spec.get("securityContext", {}).get("runAsNonRoot"):
            yield f"{pod.owner}: runAsNonRoot is not set"
    for pod, container in _containers(documents):
        context = container.get("securityContext", {})
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True}
        for name, value in wanted.items():
            if context.get(name) is not value:
                yield f"{pod.owner}: {container['name']}: {name} is not {str(value).lower()}"
        if context.get("privileged"):
            yield f"{pod.owner}: {container['name']}: privileged"
        if context.get("capabilities", {}).get("drop") != ["ALL"] or context["capabilities"].get("add"):
            yield f"{pod.owner}: {container['name']}: capabilities are not all dropped"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{pod.owner}: {container['name']}: no seccomp profile"


def resources(documents: list[Document]) -> Iterator[str]:
    """Requests are set, and memory is not overcommitted."""
    for pod, container in _containers(documents):
        asked = container.get("resources", {})
        for name in ("cpu", "memory"):
            for side in ("requests", "limits"):
                if name not in asked.get(side, {}):
                    yield f"{pod.owner}: {container['name']}: {side} name no {name}"
        limits, requests = asked.get("limits", {}), asked.get("requests", {})
        if limits.get("memory") != requests.get("memory"):
            yield f"{pod.owner}: {container['name']}: memory limit and request differ"


def probes(documents: list[Document]) -> Iterator[str]:
    """What listens says when it has started, when it is ready, and when it is stuck."""
    for pod, container in _containers(documents):
        if container.get("ports"):
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                if name not in container:
                    yield f"{pod.owner}: {container['name']}: no {name}"
    for runtime in of_kind(documents, "ServingRuntime"):
        container = runtime["spec"]["containers"][0]
        ready = container.get("readinessProbe", {}).get("httpGet", {}).get("path")
        if ready != "/v2/models/recommender/ready":
            yield f"{where(runtime)}: readiness asks {ready}; only the model's own path waits for a release"
        start = container.get("startupProbe", {})
        if start.get("periodSeconds", 10) * start.get("failureThreshold", 3) < 300:
            yield f"{where(runtime)}: the startup probe gives up before a release can be loaded"


def accounts(documents: list[Document]) -> Iterator[str]:
    """Each workload has an account of its own, and only the rollout controller a token for Kubernetes."""
    have = {each["metadata"]["name"]: each for each in of_kind(documents, "ServiceAccount")}
    for pod in pods(documents):
        name = pod.spec.get("serviceAccountName")
        if name not in have:
            yield f"{pod.owner}: service account {name} does not exist"
        if pod.spec.get("automountServiceAccountToken") is not (name == "slate-rollout"):
            yield f"{pod.owner}: automountServiceAccountToken is not {str(name == 'slate-rollout').lower()}"
    for name, account in have.items():
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {name}: automountServiceAccountToken is not false"


def permissions(documents: list[Document]) -> Iterator[str]:
    """No wildcards, nothing cluster-wide, no reading of Secrets."""
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        for document in of_kind(documents, kind):
            yield f"{where(document)}: permissions belong to the namespace"
    for role in of_kind(documents, "Role"):
        for rule in role["rules"]:
            if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]:
                yield f"{where(role)}: a wildcard"
            if "secrets" in rule["resources"]:
                yield f"{where(role)}: reads Secrets"
            if {"patch", "update", "delete"} & set(rule["verbs"]) and not rule.get("resourceNames"):
                yield f"{where(role)}: changes {', '.join(rule['resources'])} without naming which"


def secrets(documents: list[Document]) -> Iterator[str]:
    """Secrets are named, never written down; what is named exists or is made by hand."""
    written = {each["metadata"]["name"] for each in of_kind(documents, "Secret")}
    config = {each["metadata"]["name"] for each in of_kind(documents, "ConfigMap")} | CONFIG_BY_HAND
    for pod, container in _containers(documents):
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            if "value" in variable and _SECRET_NAME.search(variable["name"]):
                yield f"{pod.owner}: {variable['name']} is written down; name a Secret"
            secret = source.get("secretKeyRef", {}).get("name")
            if secret and secret not in SECRETS | written:
                yield f"{pod.owner}: {variable['name']}: Secret {secret} is made nowhere"
            settings = source.get("configMapKeyRef", {}).get("name")
            if settings and settings not in config:
                yield f"{pod.owner}: {variable['name']}: ConfigMap {settings} is made nowhere"
    for document in of_kind(documents, "Secret"):
        # The address of a Redis in the same namespace, without a password, is all that may stand in one.
        if document.get("data") or any("@" in each for each in document.get("stringData", {}).values()):
            yield f"{where(document)}: holds a value; make it by hand and name it"


def disruption(documents: list[Document]) -> Iterator[str]:
    """A node that is drained takes one pod of several, and a budget never forbids draining."""
    budgets = of_kind(documents, "PodDisruptionBudget")
    every = pods(documents)
    for budget in budgets:
        selector = budget["spec"]["selector"]["matchLabels"]
        if not any(_matches(selector, pod.labels) for pod in every):
            yield f"{where(budget)}: selects no pod"
        if budget["spec"].get("maxUnavailable") == 0 or budget["spec"].get("minAvailable") == "100%":
            yield f"{where(budget)}: forbids every drain"
    scaled = {
        f"Deployment {e['spec']['scaleTargetRef']['name']}": e
        for e in of_kind(documents, "HorizontalPodAutoscaler")
    }
    for deployment in of_kind(documents, "Deployment"):
        if deployment["spec"].get("replicas") is not None and where(deployment) in scaled:
            yield f"{where(deployment)}: replicas and an autoscaler fight over the count"
    single = {where(d) for d in of_kind(documents, "Deployment") if d["spec"].get("replicas") == 1}
    for pod in every:
        stays = pod.owner.startswith(("Deployment", "InferenceService")) and pod.owner not in single
        if stays and not any(_matches(b["spec"]["selector"]["matchLabels"], pod.labels) for b in budgets):
            yield f"{pod.owner}: no disruption budget"
        if stays and not pod.spec.get("topologySpreadConstraints"):
            yield f"{pod.owner}: all its pods may land on one node"


def network(documents: list[Document]) -> Iterator[str]:
    """Everything is denied first; each hole names who, and a port."""
    policies = of_kind(documents, "NetworkPolicy")
    denied = [
        p for p in policies
        if p["spec"]["podSelector"] == {} and not p["spec"].get("ingress") and not p["spec"].get("egress")
    ]  # fmt: skip
    if not any(set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} for p in denied):
        yield "NetworkPolicy: nothing denies by default"
    labels = [pod.labels for pod in pods(documents)]
    for policy in policies:
        if not _selects(policy["spec"]["podSelector"], labels):
            yield f"{where(policy)}: selects no pod"
        for side, peers in (("ingress", "from"), ("egress", "to")):
            for hole in policy["spec"].get(side, []):
                if not hole.get(peers) or {} in hole[peers]:
                    yield f"{where(policy)}: {side} names nobody"
                if not hole.get("ports"):
                    yield f"{where(policy)}: {side} names no port"
                for peer in hole.get(peers, []):
                    block = peer.get("ipBlock", {})
                    if block.get("cidr") == "0.0.0.0/0" and "10.0.0.0/8" not in block.get("except", []):
                        yield f"{where(policy)}: {side} is open to every address"


def routes(documents: list[Document]) -> Iterator[str]:
    """Only the models, events and items are reached from outside, and each through something that exists."""
    have = {each["metadata"]["name"] for each in of_kind(documents, "Service")}
    have |= {f"{each['metadata']['name']}-predictor" for each in of_kind(documents, "InferenceService")}
    gateways = {each["metadata"]["name"] for each in of_kind(documents, "Gateway")}
    for route in of_kind(documents, "HTTPRoute"):
        for parent in route["spec"]["parentRefs"]:
            if parent["name"] not in gateways:
                yield f"{where(route)}: no gateway {parent['name']}"
        for rule in route["spec"]["rules"]:
            mirrors = [f["requestMirror"]["backendRef"] for f in rule.get("filters", [])]
            for backend in [*rule["backendRefs"], *mirrors]:
                if backend["name"] not in have or backend["port"] != 80:
                    yield f"{where(route)}: no service {backend['name']}:{backend['port']}"
            if any("shadow" in backend["name"] for backend in rule["backendRefs"]):
                yield f"{where(route)}: a shadow answers users"
            for match in rule["matches"]:
                if match["path"]["value"] not in _PATHS:
                    yield f"{where(route)}: {match['path']['value']} is open to the outside"
    for service in of_kind(documents, "Service"):
        if service["spec"].get("type", "ClusterIP") != "ClusterIP":
            yield f"{where(service)}: is open beside the gateway"


def variants(documents: list[Document]) -> Iterator[str]:
    """Each variant says who it is, keeps a replica, and leaves the traffic to our route."""
    runtimes = {each["metadata"]["name"] for each in of_kind(documents, "ServingRuntime")}
    for service in of_kind(documents, "InferenceService"):
        predictor, variant = service["spec"]["predictor"], service["metadata"]["labels"]["slate.dev/variant"]
        args = predictor["model"]["args"]
        mode = service["metadata"]["annotations"].get("serving.kserve.io/deploymentMode")
        if predictor["model"]["runtime"] not in runtimes:
            yield f"{where(service)}: no runtime {predictor['model']['runtime']}"
        if predictor.get("minReplicas", 0) < 1:
            yield f"{where(service)}: may fall to no replicas"
        if service["metadata"]["labels"].get("networking.kserve.io/visibility") != "cluster-local":
            yield f"{where(service)}: KServe opens a route of its own"
        if f"--variant={variant}" not in args:
            yield f"{where(service)}: answers as another variant than {variant}"
        if "storageUri" not in predictor["model"] and f"--channel={variant}" not in args:
            yield f"{where(service)}: follows another channel than {variant}"
        if mode == "Standard" and "canaryTrafficPercent" in predictor:
            yield f"{where(service)}: canaryTrafficPercent means nothing in Standard mode"


def assignment(documents: list[Document]) -> Iterator[str]:
    """The gateway assigns by our Lua, and takes no variant from outside."""
    scripts = {e["metadata"]["name"] for e in of_kind(documents, "ConfigMap") if "lua" in e.get("data", {})}
    policies = of_kind(documents, "EnvoyExtensionPolicy")
    targets = {t["name"] for policy in policies for t in policy["spec"]["targetRefs"]}
    if "slate-recommender" not in targets:
        yield "EnvoyExtensionPolicy: nothing assigns users on slate-recommender"
    for policy in policies:
        for lua in policy["spec"]["lua"]:
            if lua["valueRef"]["name"] not in scripts:
                yield f"{where(policy)}: ConfigMap {lua['valueRef']['name']} has no script"
    removed = {
        name
        for policy in of_kind(documents, "ClientTrafficPolicy")
        for name in policy["spec"]["headers"]["earlyRequestHeaders"]["remove"]
    }
    for name in sorted(ASSIGNED - removed):
        yield f"ClientTrafficPolicy: {name} is taken from outside"


#: What the gateway's Lua says of a request, and nobody outside may.
ASSIGNED: Final = frozenset(
    f"x-slate-{name}" for name in ("variant", "bucket", "rollout", "step", "allocation")
)


def scaling(documents: list[Document]) -> Iterator[str]:
    """What a variant is scaled by is its own, and somebody follows it."""
    for service in of_kind(documents, "InferenceService"):
        by = service["metadata"]["annotations"].get("serving.kserve.io/autoscalerClass")
        variant = service["metadata"]["labels"]["slate.dev/variant"]
        for metric in service["spec"]["predictor"].get("autoScaling", {}).get("metrics", []):
            if metric["type"] != "External":
                continue
            if by != "keda":
                yield f"{where(service)}: {by} follows no metric of Prometheus; only keda does"
            if f'variant="{variant}"' not in metric["external"]["metric"]["query"]:
                yield f"{where(service)}: is scaled by what another variant does"


def partitions(documents: list[Document]) -> Iterator[str]:
    """The pods of a job in parts do all the parts."""
    for job in of_kind(documents, "CronJob"):
        spec = job["spec"]["jobTemplate"]["spec"]
        words = [word for each in spec["template"]["spec"]["containers"] for word in each["command"]]
        parts = [word.rpartition("/")[2] for word in words if word.startswith("--partition=")]
        if spec.get("completionMode") == "Indexed" and parts != [str(spec.get("completions"))]:
            yield f"{where(job)}: {spec.get('completions')} pods do parts of {', '.join(parts) or 'nothing'}"


def training(documents: list[Document]) -> Iterator[str]:
    """The operator finds the container that it tells about the others, and no worker holds a token."""
    for job in of_kind(documents, "TFJob"):
        template = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]
        names = [container["name"] for container in template["spec"]["containers"]]
        if names != ["tensorflow"]:
            yield f"{where(job)}: TF_CONFIG reaches the container tensorflow alone, not {', '.join(names)}"
        if template["spec"].get("automountServiceAccountToken") is not False:
            yield f"{where(job)}: automountServiceAccountToken is not false"
        if "slate.dev/pool" not in template["spec"].get("nodeSelector", {}):
            yield f"{where(job)}: names no pool, so it may take the servers' nodes"


RULES: Final[tuple[Rule, ...]] = (
    images,
    restricted,
    resources,
    probes,
    accounts,
    permissions,
    secrets,
    disruption,
    network,
    routes,
    variants,
    assignment,
    scaling,
    partitions,
    training,
)


def _containers(documents: list[Document]) -> Iterator[tuple[Pod, dict[str, Any]]]:
    for pod in pods(documents):
        for container in pod.containers:
            yield pod, container


def _matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _selects(selector: dict[str, Any], labels: list[dict[str, str]]) -> bool:
    return any(
        _matches(selector.get("matchLabels", {}), each)
        and all(each.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []))
        for each in labels
    )
