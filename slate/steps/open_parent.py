"""Pipeline step: take what an incremental run starts from out of a release."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slate import columns
from slate.config import DatasetConfig, parse_section
from slate.errors import ConfigError, GateError, ReleaseError
from slate.steps.champion import Champion, open_champion
from slate.steps.parent import COPIED, RANKER_WEIGHTS, TOWER_WEIGHTS

_FULL = "train in full with 'slate run'"


def open_parent(store: str, champion: str, dataset_config: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the **parent** folder from a verified release; see ``docs/artefacts.md``.

    Args:
        champion: a release id or a channel; it is what the challenger must beat, too.

    Returns:
        the release id and its instants.

    Raises:
        ConfigError: there is no such release to start from, or it was trained on another data set.
        GateError: it did not pass its gate.
        ReleaseError: it is not as sealed, or ships no weights to start from.
    """
    parent = open_champion(store, champion)
    if parent is None:
        raise ConfigError(f"incremental: {store} has no live release to start from; {_FULL}")
    _check(parent, parse_section(DatasetConfig, dataset_config))
    for name in COPIED:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(parent.path / name, target)
    dataset = parent.manifest.dataset
    instants = {name: getattr(dataset, name) for name in ("train_end", "valid_end", "watermark")}
    record = {
        "release_id": parent.release_id,
        **instants,
        **{name: parent.manifest.config[name] for name in ("retrieval", "ranking")},
    }
    (out / columns.PARENT_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    print(f"parent {parent.release_id}, trained up to {dataset.train_end}", flush=True)
    return {"release_id": parent.release_id, **instants}


def _check(parent: Champion, dataset: DatasetConfig) -> None:
    verdict = parent.manifest.verdict.status
    if verdict != "passed":
        raise GateError(
            f"release {parent.release_id}: its verdict is {verdict!r}, and only what passed may be a parent; "
            f"{_FULL}"
        )
    name = parse_section(DatasetConfig, parent.manifest.config["dataset"]).name
    if name != dataset.name:
        raise ConfigError(
            f"release {parent.release_id}: was trained on the data set {name!r}, not on {dataset.name!r}; "
            f"name another store or data set, or {_FULL}"
        )
    lacking = [file for file in (TOWER_WEIGHTS, RANKER_WEIGHTS) if not (parent.path / file).is_file()]
    if lacking:
        raise ReleaseError(
            f"release {parent.release_id}: ships no {' and no '.join(lacking)} to start from; {_FULL}"
        )
