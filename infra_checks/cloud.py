"""What a reviewer would refuse in Terraform, as rules over the modules."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from infra_checks.provider import resources_of
from infra_checks.terraform import Module, Resource, text

Rule = Callable[[Module], Iterator[str]]

# Google defines this one for nodes, and on projects only.
_PROJECT_ROLES: Final = frozenset({"roles/container.defaultNodeServiceAccount"})
_BROAD: Final = re.compile(r"roles/(owner|editor|viewer|[\w.]*admin)\b", re.IGNORECASE)


def problems(module: Module) -> list[str]:
    """What breaks a rule, by module and resource."""
    return [f"{module.folder.name}: {problem}" for rule in RULES for problem in rule(module)]


def buckets(module: Module) -> Iterator[str]:
    """Private, uniform, and able to go back."""
    for bucket in resources_of(module, "google_storage_bucket"):
        if bucket.body.get("uniform_bucket_level_access") is not True:
            yield f"{bucket.name}: access is not uniform"
        if bucket.body.get("public_access_prevention") != "enforced":
            yield f"{bucket.name}: may be opened to the public"
        if "retention_policy" in bucket.body:
            yield f"{bucket.name}: a retention policy of the bucket forbids replacing channels"
        if bucket.name != "logs" and not bucket.body.get("versioning", [{}])[0].get("enabled"):
            yield f"{bucket.name}: keeps no versions"
        if "lifecycle_rule" not in bucket.body:
            yield f"{bucket.name}: grows for ever"


def grants(module: Module) -> Iterator[str]:
    """Nobody unnamed, nothing broad, nothing on the whole project, no keys."""
    for resource in module.resources:
        if resource.kind == "google_service_account_key":
            yield f"{resource.name}: a long-lived key"
        if "_iam_" not in resource.kind:
            continue
        if re.search(r"allUsers|allAuthenticatedUsers", text(resource.body)):
            yield f"{resource.name}: granted to everybody"
        if resource.kind.endswith(("_iam_policy", "_iam_binding")):
            yield f"{resource.name}: replaces what others were granted; use {resource.kind[:-8]}_iam_member"
        if resource.kind.startswith("google_project_iam") and resource.body["role"] not in _PROJECT_ROLES:
            yield f"{resource.name}: {resource.body['role']} on the whole project"
        if _BROAD.search(str(resource.body.get("role", ""))):
            yield f"{resource.name}: {resource.body['role']} is too broad"
    if match := _BROAD.search(text(dict(module.locals))):
        yield f"locals: {match[0]} is too broad"


def clusters(module: Module) -> Iterator[str]:
    """Private shielded nodes whose metadata is hidden from pods; pods have identities of their own."""
    for cluster in resources_of(module, "google_container_cluster"):
        if not cluster.body.get("workload_identity_config"):
            yield f"{cluster.name}: no Workload Identity"
        if cluster.body.get("enable_shielded_nodes") is not True:
            yield f"{cluster.name}: nodes are not shielded"
        if cluster.body.get("private_cluster_config", [{}])[0].get("enable_private_nodes") is not True:
            yield f"{cluster.name}: nodes have public addresses"
        if "master_authorized_networks_config" not in cluster.body:
            yield f"{cluster.name}: everybody reaches the control plane"
        if cluster.body.get("enable_legacy_abac"):
            yield f"{cluster.name}: legacy authorisation"
    for pool in resources_of(module, "google_container_node_pool"):
        yield from _nodes(pool)


def _nodes(pool: Resource) -> Iterator[str]:
    node = pool.body["node_config"][0]
    shielded = node.get("shielded_instance_config", [{}])[0]
    if not (shielded.get("enable_secure_boot") and shielded.get("enable_integrity_monitoring")):
        yield f"{pool.name}: nodes are not shielded"
    if node.get("workload_metadata_config", [{}])[0].get("mode") != "GKE_METADATA":
        yield f"{pool.name}: pods can act as the node"
    if "service_account" not in node:
        yield f"{pool.name}: nodes run as the project's default account"


def state(module: Module) -> Iterator[str]:
    """What was acknowledged outlives a restart and is encrypted on its way."""
    for instance in resources_of(module, "google_memorystore_instance"):
        body = instance.body
        if body.get("persistence_config", [{}])[0].get("mode") != "AOF":
            yield f"{instance.name}: without an append-only file a restart loses acknowledged events"
        if body.get("transit_encryption_mode") != "SERVER_AUTHENTICATION":
            yield f"{instance.name}: traffic is not encrypted"
        if body.get("engine_configs", {}).get("maxmemory-policy") != "noeviction":
            yield f"{instance.name}: a full memory forgets events"


def firewalls(module: Module) -> Iterator[str]:
    """No rule lets the internet in."""
    for rule in resources_of(module, "google_compute_firewall"):
        if "0.0.0.0/0" in str(rule.body.get("source_ranges")) and "allow" in rule.body:
            yield f"{rule.name}: open to the internet"


def charts(module: Module) -> Iterator[str]:
    """Charts are pinned, and a failed one is taken back."""
    for release in resources_of(module, "helm_release"):
        if not release.body.get("version"):
            yield f"{release.name}: no version"
        if release.body.get("atomic") is not True:
            yield f"{release.name}: a failed installation stays"


def variables(module: Module) -> Iterator[str]:
    """Every variable has a type and says what it is for; every output too."""
    for name, variable in module.variables.items():
        for field in ("type", "description"):
            if not variable.get(field):
                yield f"variable {name}: no {field}"
        for validation in variable.get("validation", []):
            if not validation["error_message"].endswith("."):
                yield f"variable {name}: its message is no sentence"
    for name, output in module.outputs.items():
        if not output.get("description"):
            yield f"output {name}: no description"


def secrets(module: Module) -> Iterator[str]:
    """No secret value goes through the state."""
    for resource in module.resources:
        if resource.kind == "google_secret_manager_secret_version":
            yield f"{resource.name}: its value would lie in the state; put it in by hand"
        for name, value in _leaves(resource.body):
            if (
                re.search(r"password|token|private_key", name)
                and isinstance(value, str)
                and "${" not in value
            ):
                yield f"{resource.name}: {name} is written down"


def _leaves(body: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(body, dict):
        for key, value in body.items():
            yield from _leaves(value, key)
    elif isinstance(body, list):
        for each in body:
            yield from _leaves(each, name)
    else:
        yield name, body


RULES: Final[tuple[Rule, ...]] = (
    buckets,
    grants,
    clusters,
    state,
    firewalls,
    charts,
    variables,
    secrets,
)
