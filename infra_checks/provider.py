"""Terraform modules against the providers' schemas, without the providers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from infra_checks.terraform import Block, Module, Resource, load, text

SCHEMA: Final = Path(__file__).parent / "provider_schema.json"

# What Terraform itself understands in every resource.
_META: Final = frozenset({"for_each", "count", "depends_on", "lifecycle", "provider", "timeouts"})
_REFERENCE: Final = re.compile(r"(?<![\w.])((?:google|helm)_\w+)\.(\w+)(?:\[[^\]]*\])?(?:\.(\w+))?")
_NAMES: Final = re.compile(r"(?<![\w.])(var|local|module)\.(\w+)(?:\.(\w+))?")


def schema() -> dict[str, Any]:
    """Arguments and attributes of the resources we use, by type."""
    resources: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))["resources"]
    return resources


def problems(module: Module) -> list[str]:
    """What the providers, or Terraform, would refuse in a module. Empty where all is well."""
    known = schema()
    found: list[str] = []
    for resource in module.resources:
        where = f"{module.folder.name}: {resource.kind}.{resource.name}"
        if resource.kind not in known:
            found.append(
                f"{where}: no such resource in {SCHEMA.name}; "
                "if the provider has it, add it to infra_checks.extract and run that"
            )
        else:
            body = {name: value for name, value in resource.body.items() if name not in _META}
            found += _block(where, body, known[resource.kind]["arguments"])
    return found + list(_references(module, known))


def _block(where: str, body: Block, known: dict[str, Any]) -> Iterator[str]:
    given = dict(body)
    for each in given.pop("dynamic", []):
        for name, dynamic in each.items():
            given[name] = [*given.get(name, []), *dynamic["content"]]
    for name, value in given.items():
        if name not in known:
            yield f"{where}: unknown argument {name}"
        else:
            yield from _value(f"{where}.{name}", value, known[name])
    for name, node in known.items():
        required = node.endswith("!") if isinstance(node, str) else node.get("required")
        if required and name not in given:
            yield f"{where}: {name} is missing"


def _value(where: str, value: Any, node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield from _literal(where, value, node.removesuffix("!"))
    elif "object" in node:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield from _block(where, each, node["object"])
    elif not isinstance(value, list):
        yield f"{where} is a block; write {where.rpartition('.')[2]} {{ ... }} without ="
    else:
        if len(value) > 1 and not node["many"]:
            yield f"{where} may stand once"
        for each in value:
            yield from _block(where, each, node["block"])


def _literal(where: str, value: Any, kind: str) -> Iterator[str]:
    """Literals of a wrong type; what an expression gives is not known here."""
    if isinstance(value, str) and "${" in value:
        return
    fits = {
        "string": isinstance(value, str),
        "bool": isinstance(value, bool) or value in ("true", "false"),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
    }.get(kind, isinstance(value, dict) if kind.startswith("map") else isinstance(value, list))
    if value is not None and not fits:
        yield f"{where}: {value!r} is not a {kind}"


def _references(module: Module, known: dict[str, Any]) -> Iterator[str]:
    declared = {(resource.kind, resource.name) for resource in module.resources}
    everything = "\n".join(
        text(part)
        for part in (
            [resource.body for resource in module.resources],
            list(module.outputs.values()),
            list(module.calls.values()),
            dict(module.locals),
            list(module.rest),
        )
    )
    for kind, name, attribute in sorted(set(_REFERENCE.findall(everything))):
        if kind not in known:
            continue
        if (kind, name) not in declared:
            yield f"{module.folder.name}: {kind}.{name} is used and not declared"
        elif attribute and attribute not in known[kind]["arguments"] | known[kind]["attributes"]:
            yield f"{module.folder.name}: {kind}.{name} has no attribute {attribute}"
    yield from _names(module, everything)


def _names(module: Module, everything: str) -> Iterator[str]:
    used = set(_NAMES.findall(everything))
    for what, have in (("var", module.variables), ("local", module.locals), ("module", module.calls)):
        for name in sorted({name for kind, name, _ in used if kind == what} - set(have)):
            yield f"{module.folder.name}: {what}.{name} is used and not declared"
    for name in sorted(set(module.variables) - {name for kind, name, _ in used if kind == "var"}):
        yield f"{module.folder.name}: variable {name} is not used"
    for called, body in module.calls.items():
        target = load((module.folder / body["source"]).resolve())
        given = set(body) - {"source", "depends_on", "for_each", "count", "providers", "version"}
        for name in sorted(given - set(target.variables)):
            yield f"{module.folder.name}: module {called} has no variable {name}"
        needed = {name for name, variable in target.variables.items() if "default" not in variable}
        for name in sorted(needed - given):
            yield f"{module.folder.name}: module {called} needs {name}"
        outputs = {output for kind, name, output in used if (kind, name) == ("module", called) and output}
        for name in sorted(outputs - set(target.outputs)):
            yield f"{module.folder.name}: module {called} has no output {name}"


def resources_of(module: Module, kind: str) -> list[Resource]:
    """The resources of one type."""
    return [resource for resource in module.resources if resource.kind == kind]
