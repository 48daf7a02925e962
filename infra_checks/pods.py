"""The pods that documents lead to, whichever kind makes them."""

from dataclasses import dataclass
from typing import Any, Final

from infra_checks.render import Document, of_kind

_TEMPLATES: Final = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "TFJob": ("spec", "tfReplicaSpecs", "Worker", "template"),
}


@dataclass(frozen=True)
class Pod:
    """A pod: who makes it (``Deployment slate-events``), its labels and its specification."""

    owner: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All containers, those of the start included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods(documents: list[Document]) -> list[Pod]:
    """Every pod of the documents; an InferenceService's as KServe would make it."""
    found = []
    for kind, path in _TEMPLATES.items():
        for document in of_kind(documents, kind):
            template = document
            for step in path:
                template = template[step]
            found.append(Pod(_owner(document), template["metadata"]["labels"], template["spec"]))
    runtimes = {each["metadata"]["name"]: each for each in of_kind(documents, "ServingRuntime")}
    for service in of_kind(documents, "InferenceService"):
        runtime = runtimes.get(service["spec"]["predictor"]["model"]["runtime"])
        if runtime is not None:
            found.append(_predictor(service, runtime))
    return found


_POD_FIELDS: Final = (
    "serviceAccountName",
    "automountServiceAccountToken",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "securityContext",
    "nodeSelector",
    "tolerations",
)


def _predictor(service: Document, runtime: Document) -> Pod:
    """KServe puts the service's arguments behind the runtime's, and its name onto the pods."""
    predictor = service["spec"]["predictor"]
    container = dict(runtime["spec"]["containers"][0])
    container["args"] = [*container.get("args", []), *predictor["model"].get("args", [])]
    spec = {name: predictor[name] for name in _POD_FIELDS if name in predictor}
    spec["containers"] = [container]
    spec["volumes"] = runtime["spec"].get("volumes", [])
    name = service["metadata"]["name"]
    labels = {
        **service["metadata"].get("labels", {}),
        **predictor.get("labels", {}),
        "serving.kserve.io/inferenceservice": name,
    }
    return Pod(_owner(service), labels, spec)


def _owner(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"
