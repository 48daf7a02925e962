"""What every section of the configuration has in common."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from slate.errors import ConfigError

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """Base of every configuration model: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_section(model: type[S], raw: Mapping[str, Any]) -> S:
    """Validate one section that travelled as a plain dict."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{model.__name__}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """The problems of a validation error in one line each, with the offending value."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        value = problem.get("input")
        shown = "" if isinstance(value, dict | list) else f" (value: {value!r})"
        hint = "; check the spelling" if problem["type"] == "extra_forbidden" else ""
        lines.append(f"{where}: {problem['msg']}{shown}{hint}")
    return "; ".join(lines)
