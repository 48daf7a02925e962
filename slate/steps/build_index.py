"""Pipeline step: make the candidate embeddings searchable."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slate import columns
from slate.config import IndexConfig, parse_section
from slate.data.catalogue import Catalogue
from slate.errors import ModelError
from slate.retrieval.index.build import build_index as build
from slate.retrieval.query import EMBEDDING


def build_index(index: Mapping[str, Any], splits: Path, two_tower: Path, out: Path) -> dict[str, float]:
    """Write the index folder ``out`` from the embeddings in ``two_tower``; returns its measurements.

    Raises:
        ModelError: embeddings are missing, not finite, or not one a catalogue row.
    """
    path = two_tower / columns.EMBEDDINGS_FILE
    try:
        vectors = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file; run the train_two_tower step first") from error
    ids = Catalogue.open(splits).ids.ids
    built = build(vectors, ids, parse_section(IndexConfig, index), _queries(two_tower))
    built.index.save(out, built.report)
    return {
        "index_size": float(built.index.size),
        "index_recall": built.report["recall"],
        "index_recall_target": built.report["recall_target"],
        "index_median_us": built.report["latency"]["median_us"],
        "index_p99_us": built.report["latency"]["p99_us"],
    }


def _queries(two_tower: Path) -> npt.NDArray[np.float32] | None:
    """The query embeddings that training recorded, if it did."""
    path = two_tower / columns.PARITY_FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as recorded:
        if EMBEDDING not in recorded.files:
            return None
        queries: npt.NDArray[np.float32] = recorded[EMBEDDING]
    return queries if len(queries) else None
