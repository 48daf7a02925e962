"""What the objects of k8s/base and k8s/options are called."""

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """Where the API has objects of a kind, and the one of them that a rollout moves."""

    group: str
    version: str
    plural: str
    name: str


ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "httproutes", "slate-recommender")
POLICY: Final = Kind("gateway.envoyproxy.io", "v1alpha1", "envoyextensionpolicies", "slate-assignment")

VARIANT_HEADER: Final = "x-slate-variant"
MODELS: Final = ("/v1/models", "/v2/models")
#: What the filter context says outside a rollout.
NOBODY: Final = "none"
#: A server's port where its pod names none.
PORT: Final = 8080


def service(variant: str) -> str:
    """Of a variant's InferenceService.

    >>> service("shadow")
    'recommender-shadow'
    """
    return f"recommender-{variant}"


def backend(variant: str) -> str:
    """The Kubernetes Service before a variant's pods, which KServe makes."""
    return f"{service(variant)}-predictor"


def variant_selector(variant: str) -> str:
    """The label of a variant's pods."""
    return f"slate.dev/variant={variant}"
