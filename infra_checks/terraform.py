"""Terraform modules as data, read with an HCL parser."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

Block = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource: its type, its name in the module, and its body."""

    kind: str
    name: str
    body: Block


@dataclass(frozen=True)
class Module:
    """The files of one folder, taken together."""

    folder: Path
    resources: tuple[Resource, ...]
    variables: Mapping[str, Block]
    outputs: Mapping[str, Block]
    calls: Mapping[str, Block]
    locals: Mapping[str, Any]
    rest: tuple[Block, ...]


def load(folder: Path) -> Module:
    """Read every ``.tf`` file of a folder.

    Raises:
        lark.exceptions.LarkError: a file is not HCL.
    """
    files = [_parsed(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.tf"))]

    def named(block: str) -> Block:
        return {name: body for file in files for each in file.get(block, ()) for name, body in each.items()}

    resources = tuple(
        Resource(kind, name, body)
        for file in files
        for each in file.get("resource", ())
        for kind, of_kind in each.items()
        for name, body in of_kind.items()
    )
    values = {k: v for file in files for each in file.get("locals", ()) for k, v in each.items()}
    rest = tuple({k: v for k, v in file.items() if k not in _NAMED} for file in files)
    return Module(folder, resources, named("variable"), named("output"), named("module"), values, rest)


def values(path: Path) -> Block:
    """A file of variable values, or of a backend's settings."""
    return _parsed(path.read_text(encoding="utf-8"))


@functools.cache
def _parsed(text: str) -> Block:
    """A file as a tree, remembered: the parser is slow, and nobody changes a tree."""
    found: Block = _plain(hcl2.loads(text))
    return found


_NAMED = ("resource", "variable", "output", "module", "locals")
_MARKS = ("__is_block__", "__comments__", "__inline_comments__")


def _plain(node: Any) -> Any:
    """The parser's tree without its marks and the quotes around strings."""
    if isinstance(node, dict):
        return {_plain(key): _plain(value) for key, value in node.items() if key not in _MARKS}
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if isinstance(node, str) and len(node) > 1 and node[0] == node[-1] == '"':
        return node[1:-1]
    return node


def text(node: Any) -> str:
    """Every expression in a tree, one a line."""
    if isinstance(node, dict):
        return "\n".join(text(each) for each in node.values())
    if isinstance(node, list):
        return "\n".join(text(each) for each in node)
    return str(node)
