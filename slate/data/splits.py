"""Cut a data set in time, build the catalogue and fit the features: the splits folder."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.clock import isoformat
from slate.config import DatasetConfig, SplitConfig
from slate.data.catalogue import TRAIN_COUNT
from slate.data.extend import extend
from slate.data.features import FeatureSpace, fit_encoders
from slate.data.sequences import chronological
from slate.errors import DataError
from slate.hashing import BUCKETS, bucket

#: Users in the lowest buckets under this salt are never trained on; forgetting is measured on them.
UNSEEN_SALT: Final = "holdout"

Mask = npt.NDArray[np.bool_]


class Parts(NamedTuple):
    """Which rows are in which part; each is a mask over the interactions."""

    train: Mask
    valid: Mask
    test: Mask


class Shares(Protocol):
    """Anything that says which shares of the interactions validation and test are."""

    @property
    def valid_fraction(self) -> float: ...

    @property
    def test_fraction(self) -> float: ...


def temporal_parts(times: npt.NDArray[np.int64], config: Shares) -> Parts:
    """Cut after those two instants at which the shares reached are nearest to the configured ones.

    Rows of one instant always stay together, so coarse timestamps (whole days) shift the shares.

    Args:
        times: microseconds, any order.

    Raises:
        DataError: there are fewer than three instants.
    """
    instants, counts = np.unique(times, return_counts=True)
    if len(instants) < len(Parts._fields):
        raise DataError(
            f"split: {len(times)} interactions at {len(instants)} distinct instants cannot be cut into "
            "train, validation and test; bring more data, or finer timestamps"
        )
    reached = np.cumsum(counts) / len(times)
    train_share = 1.0 - config.valid_fraction - config.test_fraction
    # The last two instants are kept for the other two parts, however the shares fall.
    first = int(np.argmin(np.abs(reached[:-2] - train_share)))
    later = slice(first + 1, len(instants) - 1)
    second = later.start + int(np.argmin(np.abs(reached[later] - (1.0 - config.test_fraction))))
    train_end, valid_end = instants[first], instants[second]
    return Parts(times <= train_end, (times > train_end) & (times <= valid_end), times > valid_end)


def last_out_parts(table: pa.Table) -> Parts:
    """Each user's last interaction is the test, the one before it the validation.

    Ties in time are ordered as :func:`slate.data.sequences.chronological` says. Users with fewer than
    three interactions stay in train as a whole.

    Raises:
        DataError: no user has three interactions.
    """
    order = chronological(table).to_numpy()
    users = table[columns.USER].combine_chunks().dictionary_encode().indices.to_numpy()[order]
    last = np.r_[users[1:] != users[:-1], True]
    counts = np.bincount(users)
    enough = counts[users] >= 3
    test, valid = np.zeros(len(order), bool), np.zeros(len(order), bool)
    test[order[last & enough]] = True
    valid[order[np.r_[last[1:], False] & enough & ~last]] = True
    parts = Parts(~(test | valid), valid, test)
    if not test.any():
        raise DataError(
            "split: no user has three interactions, so none can be left out; bring more data, or set "
            "split.protocol=temporal"
        )
    return parts


def split(dataset_config: DatasetConfig, config: SplitConfig, dataset: Path, out: Path) -> dict[str, Any]:
    """Write the splits folder and return what ``split.json`` says.

    Users of the unseen share are taken out of temporal train and validation rows, so that no model and no
    early stopping sees them; they stay in the test and in histories. Nothing fitted here has seen a row after
    ``train_end``: item counts and user and context encoders come from train rows, item encoders from the
    catalogue, which says nothing of the future.
    Leave-last-out fits on train rows too, but some of them are later than other users' tests: a row knows
    its own user's past alone, while scales, vocabularies and counts know the whole period.

    Raises:
        DataError: a part would be empty.
    """
    table = pq.read_table(dataset / columns.INTERACTIONS_FILE)
    temporal = config.protocol == "temporal"
    parts = temporal_parts(instants(table), config) if temporal else last_out_parts(table)
    cut = Cut(config.protocol, parts, config.unseen_users if temporal else 0.0, config.model_dump())
    return write_splits(dataset_config, cut, table, dataset, out)


class Cut(NamedTuple):
    """How interactions are cut: which rows go where, the share of users never trained on, and by what rules.

    ``known`` is the feature space of a parent, which grows; None fits a new one. ``parent`` is what
    ``split.json`` says of it.
    """

    protocol: str
    parts: Parts
    unseen_users: float
    rules: Mapping[str, Any]
    known: FeatureSpace | None = None
    parent: Mapping[str, str] | None = None


def instants(table: pa.Table) -> npt.NDArray[np.int64]:
    """When each interaction was, in microseconds."""
    times: npt.NDArray[np.int64] = table[columns.TIMESTAMP].cast(pa.int64()).to_numpy()
    return times


def write_splits(
    dataset_config: DatasetConfig, cut: Cut, table: pa.Table, dataset: Path, out: Path
) -> dict[str, Any]:
    """Write the splits folder of ``table``, the interactions of ``dataset``; returns ``split.json``.

    Raises:
        DataError: training would be empty, or the features are not those of the parent.
    """
    unseen = _unseen(table, cut.unseen_users) if cut.unseen_users > 0 else np.zeros(table.num_rows, bool)
    train, valid = cut.parts.train & ~unseen, cut.parts.valid & ~unseen
    unseen &= cut.parts.train | cut.parts.valid
    if not train.any():
        raise DataError("split.unseen_users leaves no training rows; lower it, or bring more data")
    train_table = table.filter(pa.array(train))
    out.mkdir(parents=True, exist_ok=True)
    pq.write_table(train_table, out / columns.TRAIN_FILE)
    pq.write_table(table.filter(pa.array(valid)), out / columns.VALID_FILE)
    pq.write_table(table.filter(pa.array(cut.parts.test)), out / columns.TEST_FILE)
    (out / columns.UNSEEN_FILE).unlink(missing_ok=True)
    if unseen.any():
        pq.write_table(table.filter(pa.array(unseen)), out / columns.UNSEEN_FILE)
    items = _catalogue(pq.read_table(dataset / columns.ITEMS_FILE), train_table)
    pq.write_table(items, out / columns.ITEMS_FILE)
    users = pq.read_table(dataset / columns.USERS_FILE)
    pq.write_table(users, out / columns.USERS_FILE)
    features = _fit(dataset_config, items, users, train_table)
    if cut.known is not None:
        features = extend(cut.known, features)
    (out / columns.FEATURES_FILE).write_text(features.to_json(), encoding="utf-8")
    summary: dict[str, Any] = {
        "protocol": cut.protocol,
        "train_end": _last(table, cut.parts.train),
        "valid_end": _last(table, cut.parts.valid),
        "watermark": _last(table, np.ones(table.num_rows, bool)),
        "rows": {
            "train": train_table.num_rows,
            "valid": int(valid.sum()),
            "test": int(cut.parts.test.sum()),
            "unseen_users": int(unseen.sum()),
        },
        "dataset_fingerprint": json.loads((dataset / columns.DATASET_FILE).read_text(encoding="utf-8"))[
            "fingerprint"
        ],
    }
    if cut.parent is not None:
        summary["parent"] = dict(cut.parent)
    described = json.dumps([summary, cut.rules, dataset_config.model_dump(mode="json")], sort_keys=True)
    summary["fingerprint"] = hashlib.sha256(described.encode()).hexdigest()
    (out / columns.SPLIT_FILE).write_text(json.dumps(summary, indent=1), encoding="utf-8")
    return summary


def _unseen(table: pa.Table, share: float) -> Mask:
    encoded = table[columns.USER].combine_chunks().dictionary_encode()
    chosen = np.array(
        [bucket(UNSEEN_SALT, u) < share * BUCKETS for u in encoded.dictionary.to_pylist()], bool
    )
    mask: Mask = chosen[encoded.indices.to_numpy()]
    return mask


def _last(table: pa.Table, mask: Mask) -> str:
    latest: datetime = pc.max(table[columns.TIMESTAMP].filter(pa.array(mask))).as_py()
    return isoformat(latest)


def _catalogue(items: pa.Table, train: pa.Table) -> pa.Table:
    items = items.sort_by(columns.ITEM)
    counted = train[columns.ITEM].value_counts()
    counts: Mapping[str, int] = dict(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    )
    train_counts = [counts.get(item, 0) for item in items[columns.ITEM].to_pylist()]
    return items.append_column(TRAIN_COUNT, pa.array(train_counts, pa.int64()))


def _fit(config: DatasetConfig, items: pa.Table, users: pa.Table, train: pa.Table) -> FeatureSpace:
    trained = users.filter(pc.is_in(users[columns.USER], train[columns.USER].unique()))

    def raw(table: pa.Table, names: Mapping[str, object]) -> dict[str, list[object]]:
        return {name: table[name].to_pylist() for name in names}

    item_features = config.items.features if config.items else {}
    user_features = config.users.features if config.users else {}
    context = config.interactions.features
    return FeatureSpace(
        items=fit_encoders(item_features, raw(items, item_features)),
        users=fit_encoders(user_features, raw(trained, user_features)),
        context=fit_encoders(context, raw(train, context)),
        # In the order of names: a mapping's own order may not survive the way through a pipeline.
        events=tuple(sorted(config.events)),
    )
