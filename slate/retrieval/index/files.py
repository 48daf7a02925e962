"""An index as a folder: the searcher's files, ``ids.npy``, and ``index.json`` written last."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from slate.errors import ModelError
from slate.retrieval.index.base import CandidateIndex, Ids
from slate.retrieval.index.exact import VECTORS_FILE, ExactIndex
from slate.retrieval.index.scann import ScannIndex

INDEX_FILE: Final = "index.json"
IDS_FILE: Final = "ids.npy"
_SCANN_ASSETS: Final = "scann_assets.pbtxt"
_KINDS: Final = ("exact", "brute_force", "hashed", "tree")


def save_index(index: CandidateIndex, directory: Path, report: Mapping[str, Any]) -> None:
    """Write the folder; ``index.json`` comes last and marks it complete."""
    directory.mkdir(parents=True, exist_ok=True)
    index.write(directory)
    np.save(directory / IDS_FILE, index.ids, allow_pickle=False)
    record = {
        **report,
        "kind": index.kind,
        "dim": index.dim,
        "size": index.size,
        "parameters": dict(index.parameters),
    }
    (directory / INDEX_FILE).write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")


def read_record(directory: str | Path) -> dict[str, Any]:
    """What ``index.json`` says.

    Raises:
        ModelError: it is missing or unreadable.
    """
    path = Path(directory) / INDEX_FILE
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"index {directory}: no {INDEX_FILE} there; run the build_index step first"
        ) from error
    except ValueError as error:
        raise ModelError(f"index {directory}: {INDEX_FILE} is not JSON ({error}); build it again") from error
    return record


def checked_record(directory: str | Path) -> dict[str, Any]:
    """What ``index.json`` says, of a folder in which nothing is missing.

    Raises:
        ModelError: it is missing or unreadable, or another file is missing.
    """
    directory = Path(directory)
    record = read_record(directory)
    kind = record.get("kind")
    if kind not in _KINDS:
        raise ModelError(f"index {directory}: kind {kind!r} is none of {', '.join(_KINDS)}; build it again")
    for name in (IDS_FILE, VECTORS_FILE if kind == "exact" else _SCANN_ASSETS):
        if not (directory / name).is_file():
            raise ModelError(f"index {directory}: {name} is missing; build it again")
    return record


def read_ids(directory: str | Path, record: Mapping[str, Any]) -> Ids:
    """The item ids in index order.

    Raises:
        ModelError: there are not as many as ``record`` says.
    """
    ids: Ids = np.load(Path(directory) / IDS_FILE, allow_pickle=False)
    if len(ids) != record["size"]:
        raise ModelError(
            f"index {directory}: {IDS_FILE} holds {len(ids)} ids and {INDEX_FILE} says {record['size']}; "
            "build it again"
        )
    return ids


def open_index(directory: str | Path) -> CandidateIndex:
    """Open an index folder, wherever it was moved.

    Raises:
        ModelError: a file is missing or does not fit the others.
    """
    directory = Path(directory)
    record = checked_record(directory)
    ids = read_ids(directory, record)
    kind = record["kind"]
    index: CandidateIndex
    if kind == "exact":
        index = ExactIndex(np.load(directory / VECTORS_FILE, allow_pickle=False), ids)
    else:
        try:
            index = ScannIndex.open(directory, record["dim"], ids, kind, **record["parameters"])
        except RuntimeError as error:
            raise ModelError(f"index {directory}: ScaNN cannot load it ({error}); build it again") from error
    if index.dim != record["dim"]:
        raise ModelError(
            f"index {directory}: vectors have {index.dim} dimensions and {INDEX_FILE} says {record['dim']}; "
            "build it again"
        )
    return index
