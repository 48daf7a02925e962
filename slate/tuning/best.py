"""The best configuration as a file that ``slate run --config`` takes."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from slate.config import SlateConfig, load_config
from slate.tuning.space import applied
from slate.tuning.summary import MEASURES, outcome_counts
from slate.tuning.tune import Search


def write_best(
    search: Search, config: SlateConfig, raw: Mapping[str, Any], given: Path, out: Path
) -> SlateConfig:
    """Write ``raw`` with the best trial's values to ``out``; returns the configuration as read back.

    Data files below the folder of ``out``, or of the configuration ``given``, are named relative to ``out``,
    others by their absolute paths.

    Args:
        raw: what :func:`slate.config.read_config` gave of ``given``, overrides included.
    """
    changed = dict(raw) if search.best.baseline else applied(raw, search.best.values)
    dataset = changed.get("dataset")
    if isinstance(dataset, dict) and dataset.get("source") is None:
        changed["dataset"] = _named_from(dataset, out.parent.resolve(), given.parent.resolve())
    out.parent.mkdir(parents=True, exist_ok=True)
    body = yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=out.parent, prefix=f".{out.name}-", delete=False
    ) as file:
        file.write(_header(search, config, given) + body)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(out)
    return load_config(out)


def _header(search: Search, config: SlateConfig, given: Path) -> str:
    trials, tuning = search.trials, config.tuning
    lines = [
        f"Written by `slate tune` from {given.name}: study {search.name}, {tuning.sampler} sampler.",
        f"{outcome_counts(trials)}. Trial {search.best.number} was best: {search.best.value:.6g},",
        f"{MEASURES[tuning.objective]}.",
    ]
    if search.best.baseline:
        lines.append("It is the configuration as it was given: no trial was better.")
    elif search.baseline is not None and search.baseline.value is not None:
        lines.append(f"The configuration as it was given has {search.baseline.value:.6g}.")
    lines += [
        "The best of several on the same validation data is an optimistic figure.",
        f"Split fingerprint: {search.fingerprint}",
    ]
    return "".join(f"# {line}\n" for line in lines)


def _named_from(dataset: Mapping[str, Any], base: Path, given: Path) -> dict[str, Any]:
    def one(path: str) -> str:
        if "://" in path:
            return path
        absolute = Path(path).absolute()
        near = absolute.is_relative_to(base) or absolute.is_relative_to(given)
        return os.path.relpath(absolute, base) if near else str(absolute)

    moved = dict(dataset)
    for name in ("interactions", "items", "users"):
        table = moved.get(name)
        if isinstance(table, dict) and "path" in table:
            path = table["path"]
            moved[name] = table | {"path": one(path) if isinstance(path, str) else [one(p) for p in path]}
    return moved
