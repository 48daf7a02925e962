"""Cut what happened since a parent release was trained, and take its vocabulary on."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from slate import columns
from slate.clock import from_microseconds, isoformat, microseconds
from slate.config import DatasetConfig, IncrementalConfig
from slate.data.features import FeatureSpace
from slate.data.splits import Cut, Parts, instants, temporal_parts, write_splits
from slate.errors import DataError


@dataclass(frozen=True)
class ParentCut:
    """What a cut must know of the parent: up to when it learnt, and its feature space."""

    release_id: str
    train_end: datetime
    valid_end: datetime
    watermark: datetime
    features: FeatureSpace


def split_since(
    dataset_config: DatasetConfig,
    config: IncrementalConfig,
    unseen_users: float,
    parent: ParentCut,
    dataset: Path,
    out: Path,
) -> dict[str, Any]:
    """Write the splits folder; returns ``split.json``, whose ``parent`` names the release and its instants.

    The fractions are of the interactions later than the parent's ``train_end``. Training rows are all up to
    the new ``train_end``, the old ones too, for histories and for what is replayed. The holdout starts no
    earlier than the parent's own did, so that the parent has seen nothing of it.

    Raises:
        DataError: nothing is later than the parent's data, the data does not reach back to its training, or
            too little is new to be cut.
    """
    table = pq.read_table(dataset / columns.INTERACTIONS_FILE)
    times = instants(table)
    train_end, valid_end, watermark = (
        microseconds(instant) for instant in (parent.train_end, parent.valid_end, parent.watermark)
    )
    where = f"incremental: release {parent.release_id}"
    if not len(times) or times.max() <= watermark:
        raise DataError(
            f"{where} knows everything up to {isoformat(parent.watermark)}, and nothing here is later; "
            "run again when there is more"
        )
    new = times > train_end
    if new.all():
        raise DataError(
            f"{where} was trained up to {isoformat(parent.train_end)}, and no interaction here is so old; "
            "name the data set that it was trained on, or train in full with 'slate run'"
        )
    cut = temporal_parts(times[new], config)
    last = {"train_end": times[new][cut.train].max(), "valid_end": times[new][cut.valid].max()}
    if last["valid_end"] < valid_end:
        raise DataError(
            f"{where} has seen everything up to {isoformat(parent.valid_end)}, but its holdout would start "
            f"at {isoformat(from_microseconds(last['valid_end']))}; lower incremental.test_fraction, or wait "
            "for more interactions"
        )
    parts = Parts(
        times <= last["train_end"],
        (times > last["train_end"]) & (times <= last["valid_end"]),
        times > last["valid_end"],
    )
    return write_splits(
        dataset_config,
        Cut(
            "temporal",
            parts,
            unseen_users,
            {"unseen_users": unseen_users, **config.model_dump(include={"valid_fraction", "test_fraction"})},
            parent.features,
            {
                "release_id": parent.release_id,
                "train_end": isoformat(parent.train_end),
                "valid_end": isoformat(parent.valid_end),
                "watermark": isoformat(parent.watermark),
            },
        ),
        table,
        dataset,
        out,
    )
