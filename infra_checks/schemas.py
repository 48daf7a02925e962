"""Whether Kubernetes would accept documents at all."""

import functools
import json
import os
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
from pydantic import ValidationError

from infra_checks.kinds import KINDS
from infra_checks.pods import pods
from infra_checks.render import Document

KUBERNETES: Final = "1.34"
PUBLISHED: Final = "SLATE_CRD_SCHEMAS"


def problems(documents: list[Document]) -> list[str]:
    """What does not fit the schema of its kind."""
    found = []
    for document in documents:
        found += _custom(document) if document["kind"] in KINDS else _own(document)
    for pod in pods(documents):
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod.spec}
        found += [f"{pod.owner}: {problem}" for problem in _kubernetes(body)]
    return found


def published_problems(documents: list[Document], folder: Path) -> list[str]:
    """What does not fit the published schemas in ``folder``, one file a kind: GROUP_VERSION_Kind.json."""
    found = []
    for document in documents:
        name = f"{document['apiVersion'].replace('/', '_')}_{document['kind']}.json"
        if (folder / name).exists():
            schema = json.loads((folder / name).read_text(encoding="utf-8"))
            checker = jsonschema.Draft202012Validator(_closed(schema))
            found += [
                f"{where(document)}: {'.'.join(str(part) for part in error.path)}: {error.message[:200]}"
                for error in checker.iter_errors(document)
            ]
    return found


def published() -> Path | None:
    """The folder of published schemas that the environment names, if it is there."""
    folder = os.environ.get(PUBLISHED)
    return Path(folder) if folder and Path(folder).is_dir() else None


def where(document: Document) -> str:
    """Kind and name, for messages."""
    return f"{document['kind']} {document['metadata']['name']}"


def _custom(document: Document) -> list[str]:
    try:
        KINDS[document["kind"]].model_validate(document)
    except ValidationError as error:
        return [
            f"{where(document)}: {'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
            for each in error.errors()
        ]
    return []


def _own(document: Document) -> list[str]:
    return [f"{where(document)}: {problem}" for problem in _kubernetes(document)]


def _kubernetes(document: Document) -> tuple[str, ...]:
    return _validated(json.dumps(document, sort_keys=True))


@functools.cache
def _validated(document: str) -> tuple[str, ...]:
    """What Kubernetes' schema says; remembered, since overlays share most of their documents."""
    try:
        kubernetes_validate.validate(json.loads(document), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return (f"{'.'.join(str(part) for part in error.path)}: {error.message[:200]}",)
    except kubernetes_validate.InvalidSchemaError as error:
        return (str(error),)
    return ()


def _closed(schema: Any) -> Any:
    """The schema with unknown fields refused, as the API server prunes them in silence."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    free = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not free:
        closed["additionalProperties"] = False
    return closed
