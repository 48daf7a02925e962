"""The objects of a move as manifests, from the files that the overlays build on."""

from pathlib import Path
from typing import Any

import yaml

from slate.errors import ConfigError
from slate.release.channels import CANDIDATE, SHADOW, STABLE
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.kubernetes.moves import context_patch, share
from slate.rollout.traffic.kubernetes.names import MODELS, POLICY, ROUTE, VARIANT_HEADER, backend, service

Manifest = dict[str, Any]


def moved(split: Split, namespace: str) -> list[Manifest]:
    """The two objects that a move changes: the route and the policy.

    They have the shape of an overlay with the options ``canary`` and ``shadow``, whatever the split, so that
    applying them takes nothing away.

    Raises:
        ConfigError: the files are missing.
    """
    return _in(namespace, [route(split), policy(split)])


def services(namespace: str) -> list[Manifest]:
    """The InferenceServices of all variants, without what an overlay adds to them.

    Raises:
        ConfigError: the files are missing.
    """
    return _in(namespace, [inference_service(variant) for variant in (STABLE, CANDIDATE, SHADOW)])


def route(split: Split) -> Manifest:
    """The HTTPRoute: users by their variant's header, and the mirror."""
    found = _named(_file("route.yaml"), ROUTE.name)
    (stable,) = found["spec"]["rules"]
    stable["filters"] = [mirror(split.mirror_percent)]
    found["spec"]["rules"].append(candidate_rule())
    return found


def policy(split: Split) -> Manifest:
    """The EnvoyExtensionPolicy, which has the threshold."""
    found = _named(_file("policies.yaml"), POLICY.name)
    found["spec"]["lua"][0]["filterContext"] = context_patch(split)[0]["value"]
    return found


def candidate_rule() -> Manifest:
    """Those who are assigned to the candidate, to the candidate: k8s/options/canary."""
    header = {"type": "Exact", "name": VARIANT_HEADER, "value": CANDIDATE}
    return {
        "name": CANDIDATE,
        "matches": [
            {"path": {"type": "PathPrefix", "value": path}, "headers": [dict(header)]} for path in MODELS
        ],
        "backendRefs": [{"name": backend(CANDIDATE), "port": 80}],
    }


def mirror(percent: float) -> Manifest:
    """Copies of requests to the shadow: k8s/options/shadow."""
    target = {"name": backend(SHADOW), "port": 80}
    return {"type": "RequestMirror", "requestMirror": {**share(percent), "backendRef": target}}


def inference_service(variant: str) -> Manifest:
    """A variant's InferenceService: stable's under another name, which follows the channel of that name."""
    found = _named(_file("stable.yaml"), service(STABLE))
    renamed: Manifest = yaml.safe_load(yaml.safe_dump(found).replace(STABLE, variant))
    if variant == SHADOW:
        renamed["spec"]["predictor"] |= {"minReplicas": 1, "maxReplicas": 2}
    return renamed


def as_yaml(documents: list[Manifest]) -> str:
    """Documents as ``kubectl apply -f -`` reads them."""
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)


def _in(namespace: str, documents: list[Manifest]) -> list[Manifest]:
    for each in documents:
        each["metadata"]["namespace"] = namespace
    return documents


def _file(name: str) -> Path:
    """Where a file is: in the wheel, or in the checkout."""
    package = Path(__file__).parents[3]
    base = package.parent / "k8s" / "base"
    return next(
        (path for path in (package / "gateway" / name, base / "gateway" / name) if path.exists()), base / name
    )


def _named(path: Path, name: str) -> Manifest:
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); reinstall Slate") from error
    return next(dict(each) for each in documents if each["metadata"]["name"] == name)
