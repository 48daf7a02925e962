"""Write ``provider_schema.json``: the arguments of the Terraform resources that `terraform/` uses.

The provider's own schema comes out of its plugin alone, which needs Terraform's registry. Two packages hold
the same facts as Python source, which is read and never run: pulumi-gcp 9 follows provider 7, but names
repeated blocks in the plural; the archived CDKTF bindings have Terraform's own names, of provider 6.50. So
what exists is taken from the first, and how it is called from the second.

    pip download --no-deps -d DIR pulumi-gcp==9.37.1 cdktf-cdktf-provider-google==16.12.1 \
        cdktf-cdktf-provider-helm==12.1.2
    python -m infra_checks.extract DIR > infra_checks/provider_schema.json

An argument is its type, with ``!`` where it is required; a block is ``{block, many, required}``.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from infra_checks.bindings import Bindings, Field, Wheel

Node = dict[str, Any]

# Terraform's type -> where pulumi-gcp has it.
RESOURCES: Final = {
    "google_artifact_registry_repository": "artifactregistry.Repository",
    "google_artifact_registry_repository_iam_member": "artifactregistry.RepositoryIamMember",
    "google_billing_budget": "billing.Budget",
    "google_compute_firewall": "compute.Firewall",
    "google_compute_network": "compute.Network",
    "google_compute_router": "compute.Router",
    "google_compute_router_nat": "compute.RouterNat",
    "google_compute_subnetwork": "compute.Subnetwork",
    "google_container_cluster": "container.Cluster",
    "google_container_node_pool": "container.NodePool",
    "google_iam_workload_identity_pool": "iam.WorkloadIdentityPool",
    "google_iam_workload_identity_pool_provider": "iam.WorkloadIdentityPoolProvider",
    "google_memorystore_instance": "memorystore.Instance",
    "google_monitoring_alert_policy": "monitoring.AlertPolicy",
    "google_monitoring_notification_channel": "monitoring.NotificationChannel",
    "google_monitoring_uptime_check_config": "monitoring.UptimeCheckConfig",
    "google_network_connectivity_service_connection_policy": "networkconnectivity.ServiceConnectionPolicy",
    "google_project_iam_member": "projects.IAMMember",
    "google_secret_manager_secret": "secretmanager.Secret",
    "google_service_account": "serviceaccount.Account",
    "google_service_account_iam_member": "serviceaccount.IAMMember",
    "google_storage_bucket": "storage.Bucket",
    "google_storage_bucket_iam_member": "storage.BucketIAMMember",
}


def google(pulumi: Bindings, cdktf: Bindings, kind: str) -> Node:
    """Arguments and computed attributes of one resource of the provider `google`."""
    module, name = RESOURCES[kind].split(".")
    file = f"pulumi_gcp/{module}/{_snake(name)}.py"
    inputs = f"pulumi_gcp/{module}/_inputs.py"
    known = f"cdktf_cdktf_provider_google/{kind.removeprefix('google_')}/__init__.py"
    named = _first(cdktf, known, kind)
    taken = pulumi.fields(file, f"{name}Args")
    state = pulumi.fields(file, f"_{name}State")
    computed = {key: field for key, field in state.items() if key not in taken}
    return {
        "arguments": _block(pulumi, inputs, taken, cdktf, known, named),
        "attributes": _computed(pulumi, inputs, computed) | _ID,
    }


def _computed(pulumi: Bindings, inputs: str, fields: dict[str, Field]) -> Node:
    """What the cloud says. No package has Terraform's names of these, so singular and plural both stand."""
    nodes: Node = {}
    for plural, field in fields.items():
        node: Node | str = field.type
        if field.nested:
            inner = _computed(pulumi, inputs, pulumi.fields(inputs, field.nested))
            node = {"block": inner, "many": field.many}
        for name in {plural.replace("pulumi_", "terraform_"), _terraform_name(plural, field, None)}:
            nodes[name] = node
    return dict(sorted(nodes.items()))


_ID: Final[Node] = {"id": "string"}


def helm_release(cdktf: Bindings) -> Node:
    """The one resource of the provider `helm`; its bindings have Terraform's names."""
    file = "cdktf_cdktf_provider_helm/release/__init__.py"
    arguments = _plain(cdktf, file, cdktf.fields(file, "ReleaseConfig"))
    return {"arguments": arguments, "attributes": _ID}


def _plain(cdktf: Bindings, file: str, fields: dict[str, Field]) -> Node:
    nodes: Node = {}
    for name, field in fields.items():
        if name in _CDKTF_OWN:
            continue
        if field.nested:
            inner = _plain(cdktf, file, cdktf.fields(file, field.nested))
            nodes[name] = {"object": inner, "many": field.many}
        else:
            nodes[name] = field.type + "!" * field.required
    return nodes


_CDKTF_OWN: Final = frozenset(
    {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners", "id"}
)


def _block(
    pulumi: Bindings,
    inputs: str,
    fields: dict[str, Field],
    cdktf: Bindings,
    known: str,
    named: dict[str, Field] | None,
) -> Node:
    """One block by Terraform's names; ``named`` are the fields that the older provider had, if it had it."""
    nodes: Node = {}
    for plural, field in fields.items():
        name = _terraform_name(plural, field, named)
        old = named.get(name) if named is not None else None
        required = old.required if old is not None else field.required
        if field.nested:
            inner = cdktf.fields(known, old.nested) if old is not None and old.nested else None
            block = _block(pulumi, inputs, pulumi.fields(inputs, field.nested), cdktf, known, inner)
            nodes[name] = {"block": block, "many": field.many, "required": required}
        else:
            nodes[name] = field.type + "!" * required
    return dict(sorted(nodes.items()))


def _terraform_name(plural: str, field: Field, named: dict[str, Field] | None) -> str:
    candidates = [plural, *(plural.removesuffix(end) + new for end, new in _SINGULAR if plural.endswith(end))]
    if named is not None:
        for candidate in candidates:
            if candidate in named:
                return candidate
    if field.nested and field.many and len(candidates) > 1:
        typed = _snake(field.nested.removesuffix("Args"))
        return next((c for c in candidates[1:] if typed.endswith(f"_{c}")), plural)
    return plural


_SINGULAR: Final = (("ies", "y"), ("ses", "s"), ("es", "e"), ("es", ""), ("s", ""))


def _first(cdktf: Bindings, file: str, kind: str) -> dict[str, Field] | None:
    name = "".join(part.capitalize() for part in kind.removeprefix("google_").split("_"))
    return cdktf.fields(file, f"{name}Config") if cdktf.has(file) else None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def main(folder: Path) -> None:
    """Print the schema that the wheels in ``folder`` hold."""
    pulumi, google_cdktf, helm_cdktf = (
        Bindings(Wheel(next(folder.glob(pattern))))
        for pattern in ("pulumi_gcp-*", "cdktf_cdktf_provider_google-*", "cdktf_cdktf_provider_helm-*")
    )
    resources = {kind: google(pulumi, google_cdktf, kind) for kind in RESOURCES}
    resources["helm_release"] = helm_release(helm_cdktf)
    sources = [each.wheel.name for each in (pulumi, google_cdktf, helm_cdktf)]
    print(json.dumps({"sources": sources, "resources": resources}, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
