"""Overlays and options as the documents that ``kubectl apply -k`` would send."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
K8S: Final = ROOT / "k8s"

Document = dict[str, Any]


def render(folder: Path) -> list[Document]:
    """What kustomize makes of a folder.

    Raises:
        subprocess.CalledProcessError: it cannot; standard error says why.
    """
    kubectl = Path(sys.executable).parent / "kubectl"
    run = subprocess.run(  # noqa: S603 - the wheel's own kubectl on a folder of this repository
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=True
    )
    return [document for document in yaml.load_all(run.stdout, yaml.CSafeLoader) if document]


def render_with(*options: str) -> list[Document]:
    """The base with options alone."""
    # kustomize takes relative paths only, so the throw-away overlay has to lie in the tree.
    with tempfile.TemporaryDirectory(dir=K8S, prefix=".render-") as folder:
        overlay: Document = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["../base"],
            "components": [f"../options/{option}" for option in options],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
        return render(Path(folder))


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """The documents of one kind."""
    return [document for document in documents if document["kind"] == kind]


def named(documents: list[Document], kind: str, name: str) -> Document:
    """The one document of this kind and name.

    Raises:
        LookupError: there is none.
    """
    for document in of_kind(documents, kind):
        if document["metadata"]["name"] == name:
            return document
    raise LookupError(f"no {kind} {name}")
