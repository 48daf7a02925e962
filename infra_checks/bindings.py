"""Read the classes of generated Python bindings out of a wheel, without importing any of it."""

import ast
import functools
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Field:
    """One constructor argument: a Terraform ``type``, or the class ``nested`` (``many`` times)."""

    type: str
    nested: str | None
    many: bool
    required: bool


class Wheel:
    """The Python files of a wheel."""

    def __init__(self, path: Path) -> None:
        self.name = "-".join(path.name.split("-")[:2])
        self._archive = zipfile.ZipFile(path)
        self._names = frozenset(self._archive.namelist())

    def has(self, file: str) -> bool:
        """Whether it holds this file."""
        return file in self._names

    def text(self, file: str) -> str:
        """The file's text.

        Raises:
            KeyError: it has no such file.
        """
        return self._archive.read(file).decode()


class Bindings:
    """The constructors of the classes in a wheel."""

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel

    def has(self, file: str) -> bool:
        """Whether there is such a file."""
        return self.wheel.has(file)

    def fields(self, file: str, name: str) -> dict[str, Field]:
        """The keyword arguments of the class ``name`` in ``file``, by name.

        Raises:
            KeyError: there is no such file or class.
        """
        init = self._constructors(file)[name]
        return {
            argument.arg.rstrip("_"): _field(argument.annotation, default is None)
            for argument, default in zip(init.kwonlyargs, init.kw_defaults, strict=True)
        }

    @functools.cache  # noqa: B019 - one generator run, one set of bindings
    def _constructors(self, file: str) -> dict[str, ast.arguments]:
        found = {}
        for node in ast.parse(self.wheel.text(file)).body:
            if isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                        found[node.name] = part.args
        return found


_PRIMITIVES: Final = {
    "str": "string",
    "bool": "bool",
    "int": "number",
    "float": "number",
    "jsii.Number": "number",
}

_TYPING: Final = frozenset({"Any", "Mapping", "Optional", "Sequence", "Union"})


def _field(annotation: ast.expr | None, required: bool) -> Field:
    text = ast.unparse(annotation) if annotation is not None else ""
    primitive = next(
        (
            ours
            for theirs, ours in _PRIMITIVES.items()
            if re.search(rf"(?<![\w.])(builtins|_builtins)\.{theirs}\b", text)
        ),
        "number" if "jsii.Number" in text else "string",
    )
    many = "Sequence[" in text
    names = [name for name in re.findall(r"(?<![\w.])([A-Z]\w+)", text) if name not in _TYPING]
    nested = next((name for name in names if not name.endswith("ArgsDict")), None)
    if nested:
        return Field("object", nested, many, required)
    if "Mapping[" in text:
        return Field("map(string)", None, False, required)
    return Field(f"list({primitive})" if many else primitive, None, False, required)
