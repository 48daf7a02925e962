"""Every default as commented YAML: ``python -m slate.config_reference > conf/base.yaml``."""

import json
import sys
from typing import Any, Final

from pydantic import BaseModel

from slate.config import SlateConfig

_HEADER: Final = """\
# Every section but 'dataset', with its default values. A configuration of your own needs 'dataset:' only
# (see movielens.yaml and examples/bookshop/bookshop.yaml), plus the values that it changes.
# Written by `python -m slate.config_reference`.
"""


def defaults() -> dict[str, dict[str, Any]]:
    """Section name to its default values as plain JSON types, without the data set."""
    return {
        name: field.default.model_dump(mode="json")
        for name, field in SlateConfig.model_fields.items()
        if isinstance(field.default, BaseModel)
    }


def render() -> str:
    """The YAML text: one comment a section, the first line of its description."""
    parts = [_HEADER]
    for name, values in defaults().items():
        described = type(SlateConfig.model_fields[name].default).__doc__ or ""
        lines = [line for key, value in values.items() for line in _entry(key, value)]
        body = "\n".join([f"{name}:", *lines, ""])
        parts.append(f"# {described.strip().splitlines()[0]}\n{body}")
    return "\n".join(parts)


def _entry(key: str, value: Any) -> list[str]:
    """One line, or one a part where the value has parts of its own."""
    if isinstance(value, dict) and any(isinstance(part, dict) for part in value.values()):
        return [f"  {key}:", *(f"    {name}: {_plain(part)}" for name, part in value.items())]
    return [f"  {key}: {_plain(value)}"]


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(render())
