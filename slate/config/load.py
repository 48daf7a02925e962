"""Configuration files: YAML in, one validated object out."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from slate.config.root import SlateConfig
from slate.config.section import describe
from slate.errors import ConfigError


def default_config_path() -> Path:
    """The configuration used when none is named: MovieLens-100K, from the checkout or the wheel."""
    package = Path(__file__).parent.parent
    shipped = package / "conf" / "movielens.yaml"
    return shipped if shipped.exists() else package.parent / "conf" / "movielens.yaml"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> SlateConfig:
    """Read a YAML file, apply ``section.key=value`` overrides and validate.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown, or a value is impossible.
    """
    return parse_config(read_config(path, overrides), str(path))


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """What a YAML file and ``section.key=value`` overrides say, data paths absolute, nothing validated.

    Raises:
        ConfigError: the file is missing or not YAML.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"config {path}: cannot be read ({error.strerror}); name a YAML file with --config"
        ) from error
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"config {path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"config {path}: expected sections such as 'dataset:', found {type(raw).__name__}")
    dataset = raw.get("dataset")
    if isinstance(dataset, dict) and dataset.get("source") is None:
        for name in ("interactions", "items", "users", "follows"):
            _absolute(dataset.get(name), path.parent.resolve())
    return _overridden(raw, overrides)


def parse_config(raw: Mapping[str, Any], where: str = "config", overrides: Sequence[str] = ()) -> SlateConfig:
    """Validate a plain mapping, after ``section.key=value`` overrides.

    Raises:
        ConfigError: naming every offending key, its value and the problem.
    """
    try:
        return SlateConfig.model_validate(_overridden(raw, overrides))
    except ValidationError as error:
        raise ConfigError(f"{where}: {describe(error)}") from error


def _absolute(table: dict[str, Any] | None, base: Path) -> None:
    if not isinstance(table, dict) or "path" not in table:
        return

    def one(path: str) -> str:
        return path if "://" in path or Path(path).is_absolute() else str(base / path)

    path = table["path"]
    table["path"] = one(path) if isinstance(path, str) else [one(str(p)) for p in path]


def _overridden(raw: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(raw))
    for override in overrides:
        _override(changed, override)
    return changed


def _override(raw: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or len(parts) < 2 or not all(parts):
        raise ConfigError(f"--set {override!r}: expected section.key=value, for example retrieval.epochs=5")
    node = raw
    for part in parts[:-1]:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override!r}: {part} is not a section")
        node = child
    try:
        node[parts[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML: {error}") from error
