"""A move as commands that a person could type, and the manifests that it makes."""

import json

from slate.release.channels import CANDIDATE, SHADOW, STABLE
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.kubernetes.manifests import as_yaml, moved, route, services
from slate.rollout.traffic.kubernetes.moves import Patch, context_patch, rule_places
from slate.rollout.traffic.kubernetes.names import POLICY, ROUTE, service


def printed(split: Split, namespace: str) -> str:
    """The commands, each on one line, then the same as manifests.

    Raises:
        ConfigError: the files that manifests are made of are missing.
    """
    lines = [
        "# By kubectl: stop the controller first, or it moves back what you move.",
        f"kubectl -n {namespace} scale deploy/slate-rollout --replicas=0",
    ]
    if split.mirror_percent:
        lines.append(_ready(SHADOW, namespace))
    if split.threshold:
        lines.append(_ready(CANDIDATE, namespace))
    lines.append(_patch("envoyextensionpolicy", POLICY.name, namespace, context_patch(split)))
    lines.append(_patch("httproute", ROUTE.name, namespace, _mirror(split)))
    return "\n".join(
        [
            *lines,
            "",
            "# The same as manifests, for kubectl apply -f -:",
            as_yaml(moved(split, namespace)),
            "# The services behind them, for a cluster without an overlay, which adds pools and sizes:",
            as_yaml(services(namespace)),
        ]
    )


def _mirror(split: Split) -> Patch:
    rules = route(split)
    place = rule_places(rules)[STABLE]
    value = rules["spec"]["rules"][place]["filters"][0]["requestMirror"]
    return [{"op": "replace", "path": f"/spec/rules/{place}/filters/0/requestMirror", "value": value}]


def _ready(variant: str, namespace: str) -> str:
    return (
        f"kubectl -n {namespace} wait --for=condition=Ready inferenceservice/{service(variant)} --timeout=15m"
    )


def _patch(kind: str, name: str, namespace: str, patch: Patch) -> str:
    return f"kubectl -n {namespace} patch {kind} {name} --type=json -p '{json.dumps(patch)}'"
