"""Slates with a slot whose item was drawn by chance, with the probability of the draw and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import Event
from slate.errors import DataError
from slate.feedback import tables
from slate.feedback.days import first_of_each, nullable, read_days
from slate.feedback.metrics.log import EXPOSURES, OUTCOMES, days_of, weighed
from slate.storage import ObjectStore

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

EXPOSURE: Final = "exposure_id"
RELEASE: Final = "release_id"
CONTEXT: Final = "context"
SHOWN: Final = "items"
PROPENSITY: Final = "propensity"
SLATE: Final = "slate"
REWARD: Final = "reward"
#: Mean score of the slate's other items, 0 where it has none.
OTHERS: Final = "others"

_EXPOSED: Final = nullable(
    tables.EXPOSURES, (EXPOSURE, columns.TIMESTAMP, columns.USER, RELEASE, CONTEXT, SHOWN)
)
_EVENT_ID: Final = "event_id"
_RECEIVED: Final = "received"
_DONE: Final = nullable(
    tables.OUTCOMES,
    (_EVENT_ID, columns.USER, columns.ITEM, columns.EVENT, columns.VALUE, _RECEIVED, EXPOSURE),
)
_SAME: Final = (columns.USER, _EVENT_ID, columns.ITEM, columns.EVENT, EXPOSURE)
#: What differs from 1 by less was drawn with certainty.
_CERTAIN: Final = 1e-9


@dataclass(frozen=True)
class Slots:
    """A row a slate whose slot was drawn by chance.

    ``table`` has exposure_id, timestamp, user_id, release_id, context, the item_id and the score at the slot,
    ``others``, ``propensity`` and ``reward``; ``slates`` lists all items of each. ``certain`` slates of the
    same time held no such slot, of ``young`` ones outcomes may still come.
    """

    table: pa.Table
    slates: list[list[str]]
    certain: int
    young: int

    @property
    def users(self) -> Codes:
        """Dense codes of users, in no order that means anything."""
        codes = self.table[columns.USER].combine_chunks().dictionary_encode().indices
        return np.asarray(codes.to_numpy(False), dtype=np.int64)

    def numbers(self, name: str) -> Floats:
        """A column as float64."""
        return np.asarray(self.table[name].to_numpy(), dtype=np.float64)

    def kept(self, rows: npt.NDArray[np.bool_]) -> "Slots":
        """Some of them."""
        slates = [slate for slate, keep in zip(self.slates, rows.tolist(), strict=True) if keep]
        return Slots(self.table.filter(pa.array(rows)), slates, self.certain, self.young)


def read_slots(
    store: ObjectStore,
    events: Mapping[str, Event],
    now: datetime,
    window: timedelta,
    *,
    whole_slate: bool = False,
    since: date | None = None,
) -> Slots:
    """What the log tells of exploring slots.

    Args:
        events: the data set's, by name: an outcome is worth its event's weight; others are worth nothing.
        window: how long after a slate was shown an outcome may come. Younger slates are left out.
        whole_slate: the reward is what came of all of the slate, instead of the slot's item alone.
        since: the first day; the log's by default.

    Raises:
        DataError: the log is empty, propensities are missing or no probabilities, or all are 1.
        StorageError: the log cannot be read.
    """
    days = days_of(store)
    if days is None:
        raise DataError(f"{store.uri}: holds no exposures; serve with this store, and let its consumer run")
    first, last = max(days[0], since or days[0]), days[1] + timedelta(days=1)
    exposures = first_of_each(
        read_days(store, EXPOSURES, _EXPOSED, first, last), (EXPOSURE,), columns.TIMESTAMP
    )
    over = pc.less_equal(
        exposures[columns.TIMESTAMP], pa.scalar(now - window, exposures[columns.TIMESTAMP].type)
    )
    old = exposures.filter(over)
    if old.num_rows == 0:
        raise DataError(
            f"{store.uri}: none of {exposures.num_rows} slates since {first} is older than {window}, until "
            "when outcomes count; wait, or name an earlier --since"
        )
    outcomes = read_days(store, OUTCOMES, _DONE, first, last + window + timedelta(days=1))
    return _slots(old, outcomes, events, exposures.num_rows - old.num_rows, whole_slate)


def _slots(
    exposures: pa.Table, outcomes: pa.Table, events: Mapping[str, Event], young: int, whole_slate: bool
) -> Slots:
    items = _items(exposures)
    chances = _checked(items)
    drawn = chances < 1 - _CERTAIN
    if not drawn.any():
        raise DataError(
            f"all propensities of {exposures.num_rows} slates are 1: nothing was explored, so nothing is "
            "known of what was not shown; train a release with recommend.exploration.rate above 0"
        )
    of_slate = items[SLATE].to_numpy()
    rows, counts = np.unique(of_slate[drawn], return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"{int((counts > 1).sum())} slates have more than one position that was drawn by chance; "
            "only one is understood"
        )
    slot = items.filter(pa.array(drawn))
    table = exposures.take(pa.array(rows)).drop_columns([SHOWN])
    for name in (columns.ITEM, columns.SCORE, PROPENSITY):
        table = table.append_column(name, slot[name])
    table = table.append_column(OTHERS, pa.array(_others(items, drawn, exposures.num_rows)[rows]))
    table = table.append_column(REWARD, pa.array(_rewards(table, outcomes, events, whole_slate)))
    shown: list[list[dict[str, Any]]] = exposures[SHOWN].take(pa.array(rows)).to_pylist()
    slates = [[item[columns.ITEM] for item in slate] for slate in shown]
    return Slots(table, slates, exposures.num_rows - len(rows), young)


def _items(exposures: pa.Table) -> pa.Table:
    lists = exposures[SHOWN].combine_chunks()
    flat = pc.list_flatten(lists)
    names = (columns.ITEM, columns.SCORE, PROPENSITY)
    return pa.table(
        {SLATE: pc.list_parent_indices(lists)} | {name: pc.struct_field(flat, name) for name in names}
    )


def _checked(items: pa.Table) -> Floats:
    missing = items[PROPENSITY].null_count
    if missing:
        raise DataError(
            f"the propensities of {missing} of {items.num_rows} items shown are missing; name a day with "
            "--since from which on servers log them"
        )
    chances = np.asarray(items[PROPENSITY].to_numpy(), dtype=np.float64)
    wrong = ~((chances > 0) & (chances <= 1))
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} of {chances.size} propensities are no probabilities, such as "
            f"{chances[wrong][0]:g}; find the server that logged them"
        )
    return chances


def _others(items: pa.Table, drawn: npt.NDArray[np.bool_], slates: int) -> Floats:
    scores = np.asarray(pc.fill_null(items[columns.SCORE], float("nan")).to_numpy(), dtype=np.float64)
    used = ~drawn & np.isfinite(scores)
    owners = items[SLATE].to_numpy()[used]
    totals = np.bincount(owners, scores[used], slates)
    return np.asarray(totals / np.maximum(np.bincount(owners, minlength=slates), 1), dtype=np.float64)


def _rewards(table: pa.Table, outcomes: pa.Table, events: Mapping[str, Event], whole_slate: bool) -> Floats:
    """The sum of the weights of a slate's outcomes, each once."""
    known = weighed(first_of_each(outcomes, _SAME, _RECEIVED), events)
    keys = (EXPOSURE,) if whole_slate else (EXPOSURE, columns.ITEM)
    sums = known.group_by(list(keys)).aggregate([(columns.WEIGHT, "sum")])
    names = zip(*(sums[name].to_pylist() for name in keys), strict=True)
    worth = dict(zip(names, sums[f"{columns.WEIGHT}_sum"].to_pylist(), strict=True))
    wanted = zip(*(table[name].to_pylist() for name in keys), strict=True)
    return np.array([worth.get(key, 0.0) for key in wanted], dtype=np.float64)
