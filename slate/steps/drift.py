"""Pipeline step: compare the prepared data with what the live release was trained on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from slate import columns
from slate.config import DatasetConfig, DriftConfig, parse_section
from slate.data import statistics
from slate.data.drift import Drift, Entities, compare
from slate.data.drift.report import Comparison, render
from slate.errors import DataError, SlateError
from slate.recommend.recommender import USERS
from slate.recommend.users import users_table
from slate.release.layout import release_prefix
from slate.release.manifest import Manifest
from slate.release.verify import read_manifest
from slate.steps.champion import Champion, open_champion
from slate.storage import open_store

_SHOWN: Final = 5
NOW: Final = "this snapshot"


@dataclass(frozen=True)
class DriftRun:
    """Comparisons, the newest first, and what could not be compared."""

    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]

    @property
    def newest(self) -> Drift | None:
        return self.comparisons[0].drift if self.comparisons else None


def drift(
    drift_config: Mapping[str, Any],
    dataset_config: Mapping[str, Any],
    store: str,
    champion: str,
    dataset: Path,
    out: Path,
    report: Path,
) -> dict[str, float]:
    """Write ``drift.json`` into ``out`` and the HTML ``report``.

    Args:
        champion: a release id, a channel, or the empty string for none.
        dataset: the folder that validate wrote.

    Returns:
        figures for the metrics view, by ``name`` or ``name.subject``.

    Raises:
        DataError: a check of severity ``error`` failed, after both files are written.
        ReleaseError: the champion is not as sealed.
    """
    config = parse_section(DriftConfig, drift_config)
    name = parse_section(DatasetConfig, dataset_config).name
    found = measure(config, store, champion, dataset)
    out.mkdir(parents=True, exist_ok=True)
    (out / columns.DRIFT_FILE).write_text(json.dumps(as_json(found), indent=1, ensure_ascii=False), "utf-8")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(render(name, found.comparisons, found.notes), encoding="utf-8")
    newest = found.newest
    for finding in newest.findings if newest else ():
        print(f"{finding.severity} {finding}", flush=True)
    if newest is None:
        print("drift: nothing to compare with", flush=True)
        return {}
    check(newest, name, str(report))
    return {
        f"{f.name}.{f.subject}" if f.subject else f.name: f.value
        for f in newest.figures
        if f.value is not None
    }


def check(newest: Drift, name: str, report: str) -> None:
    """Refuse a snapshot whose drift is an error.

    Raises:
        DataError: naming the figures and where to look.
    """
    if newest.errors:
        shown = "; ".join(str(figure) for figure in newest.errors[:_SHOWN])
        raise DataError(
            f"dataset {name}: {len(newest.errors)} drift checks failed: {shown}. The report is {report}; "
            "to go on all the same set drift.severities.<check>=warning"
        )


def measure(config: DriftConfig, store: str, champion: str, dataset: Path) -> DriftRun:
    """Compare the data set with the champion's, and each of the releases before it with its own parent."""
    opened = open_champion(store, champion)
    if opened is None:
        return DriftRun((), ("There is no release yet: nothing to compare with.",))
    tables = {
        side: pq.read_table(dataset / file)
        for side, file in (
            ("interactions", columns.INTERACTIONS_FILE),
            ("items", columns.ITEMS_FILE),
            ("users", columns.USERS_FILE),
        )
    }
    parent = json.loads((opened.path / columns.STATISTICS_FILE).read_text(encoding="utf-8"))
    now = compare(parent, statistics.describe(tables), config, _shipped(opened), _present(tables))
    comparisons = [Comparison(NOW, opened.release_id, now)]
    notes: list[str] = []
    newer, manifest = parent, opened.manifest
    while manifest.parent and len(comparisons) < config.releases:
        try:
            older_manifest, older = _statistics(store, manifest.parent)
        except (SlateError, ValueError) as error:
            notes.append(f"{manifest.parent} cannot be compared: {error}")
            break
        comparisons.append(
            Comparison(manifest.release_id, older_manifest.release_id, compare(older, newer, config))
        )
        newer, manifest = older, older_manifest
    return DriftRun(tuple(comparisons), tuple(notes))


def as_json(found: DriftRun) -> dict[str, Any]:
    """The content of ``drift.json``."""
    return {
        "schema": 1,
        "comparisons": [
            {"release": c.release, "parent": c.parent, **c.drift.to_dict()} for c in found.comparisons
        ],
        "notes": list(found.notes),
    }


def _present(tables: Mapping[str, pa.Table]) -> Entities:
    return Entities(tables["items"][columns.ITEM].to_pylist(), tables["users"][columns.USER].to_pylist())


def _shipped(champion: Champion) -> Entities:
    """The ids that a release ships; those of users are every user of its data."""
    items = pq.read_table(champion.path / columns.ITEMS_FILE, columns=[columns.ITEM])
    users = users_table(champion.path / USERS)
    return Entities(items[columns.ITEM].to_pylist(), users[columns.USER].to_pylist())


def _statistics(store: str, release_id: str) -> tuple[Manifest, dict[str, Any]]:
    """A release's manifest and statistics, the latter's hash checked, without fetching the rest."""
    objects = open_store(store)
    manifest = read_manifest(objects, release_id)
    content = objects.read(release_prefix(release_id) + columns.STATISTICS_FILE)
    sealed = {entry.path: entry.sha256 for entry in manifest.files}[columns.STATISTICS_FILE]
    if hashlib.sha256(content).hexdigest() != sealed:
        raise DataError(f"{columns.STATISTICS_FILE}: is not as sealed")
    loaded: dict[str, Any] = json.loads(content)
    return manifest, loaded
