"""A release and days of its traffic, with known truth: users with tastes, who act by what they are shown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate.config import Event
from slate.data import statistics
from slate.feedback import tables
from slate.monitoring.log import Log
from slate.monitoring.measure import Release
from slate.monitoring.reference import Reference
from slate.monitoring.traffic import HISTORY, Known

DAY: Final = datetime(2026, 11, 20, tzinfo=UTC)
RELEASE: Final = "20261101T000000000000Z-abcdefabcdef"
EVENTS: Final = {"like": Event(weight=1.0), "hide": Event(weight=-2.0)}
ITEMS, USERS, LENGTH = 80, 3000, 6
#: How many look at each position: the first always, the last seldom.
LOOKED: Final = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
_GENRES: Final = ("comedy", "drama", "crime", "war")
_START: Final = int(DAY.timestamp() * 1e6)
_DAY: Final = 86_400_000_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Changes:
    """What is planted. ``comedy``: how much more of it is shown. ``young``: nobody of 35 or more.

    Shares: ``strangers`` of users, ``tv`` of requests, ``top`` of slates with one same item, ``viral`` of
    organic events on one item, ``hides`` of organic events, ``unknown`` of them on new items, ``popular``
    and ``empty`` of slates. ``score`` is added to every score, ``rate`` multiplies outcomes, ``slow`` the
    latency. ``flat``: scores say nothing of outcomes.
    """

    comedy: float = 1.0
    young: bool = False
    strangers: float = 0.0
    tv: float = 0.5
    top: float = 0.0
    viral: float = 0.0
    hides: float = 0.1
    unknown: float = 0.0
    score: float = 0.0
    rate: float = 1.0
    flat: bool = False
    popular: float = 0.0
    empty: float = 0.0
    slow: float = 1.0


QUIET: Final = Changes()


def known() -> Known:
    """80 items in 4 genres, 3,000 users whose region says what they like."""
    generator = np.random.default_rng(3)
    return Known(
        pa.table(
            {
                "item_id": [f"i{i}" for i in range(ITEMS)],
                "title": pa.nulls(ITEMS, pa.string()),
                "genre": [_GENRES[i % 4] for i in range(ITEMS)],
                "tags": [[f"t{i % 3}", f"t{i % 5}"] if i % 7 else [] for i in range(ITEMS)],
                "minutes": pa.array([None if i % 9 == 0 else 60.0 + i for i in range(ITEMS)], pa.float64()),
            }
        ),
        pa.table(
            {
                "user_id": [f"u{u}" for u in range(USERS)],
                "region": ["north" if u % 3 else "south" for u in range(USERS)],
                "age": generator.normal(40, 10, USERS),
                HISTORY: generator.geometric(0.05, USERS),
            }
        ),
    )


KNOWN: Final = known()
_AGES: Final = KNOWN.users["age"].to_numpy()


class World:
    """Draws exposures, what becomes of them, and organic events."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def log(self, changes: Changes = QUIET, users: int = 300, organic: int = 600) -> Log:
        """A whole day whose outcomes have all come."""
        exposures = self.exposures(users, changes)
        end = DAY + timedelta(days=1)
        outcomes = self.outcomes(exposures, changes)
        return Log(DAY, end, end + timedelta(days=1), exposures, outcomes, self.organic(organic, changes))

    def exposures(self, users: int, changes: Changes = QUIET, release: str = RELEASE) -> pa.Table:
        """One to five slates of each of so many users over the day."""
        people = np.flatnonzero(_AGES < 35) if changes.young else np.arange(USERS)
        chosen = self._random.choice(people, users, replace=False)
        prefix = np.where(self._random.random(users) < changes.strangers, "new", "u")
        each = self._random.integers(1, 6, users)
        owners, prefixes = np.repeat(chosen, each), np.repeat(prefix, each)
        rows = len(owners)
        items = self._shown(owners, changes)
        # Some like more of everything, so scores differ at the same position too.
        levels = self._random.uniform(0.2, 1.0, (rows, 1))
        scores = levels * -np.sort(-self._random.beta(2, 4, (rows, LENGTH)), axis=1) + changes.score
        surfaces = np.where(self._random.random(rows) < changes.tv, "tv", "phone")
        popular = self._random.random(rows) < changes.popular
        lengths = np.where(self._random.random(rows) < changes.empty, 0, LENGTH)
        kept = np.arange(LENGTH) < lengths[:, np.newaxis]
        field = tables.EXPOSURES.field("items").type.value_type
        cells = pa.StructArray.from_arrays(
            [
                pa.array([f"i{i}" for i in items[kept]]),
                pa.array(scores[kept]),
                pa.array(np.broadcast_to(np.arange(1, LENGTH + 1), items.shape)[kept], pa.int32()),
                pa.array(["two_tower"] * int(kept.sum())),
                pa.array(np.ones(int(kept.sum()))),
            ],
            fields=list(field),
        )
        columns: dict[str, Any] = {
            "exposure_id": [f"{release}-{row}" for row in range(rows)],
            "timestamp": _times(self._random.integers(0, _DAY, rows)),
            "user_id": [f"{p}{o}" for p, o in zip(prefixes, owners, strict=True)],
            "assigned_variant": ["stable"] * rows,
            "served_variant": ["stable"] * rows,
            "release_id": [release] * rows,
            "rung": np.where(popular, "popular", "personalised"),
            "latency_ms": self._random.gamma(4, 5, rows) * changes.slow,
            "context": [json.dumps({"surface": surface}) for surface in surfaces],
            "items": pa.ListArray.from_arrays(np.r_[0, np.cumsum(lengths)].astype(np.int32), cells),
        }
        return _table(columns, rows, tables.EXPOSURES)

    def outcomes(self, exposures: pa.Table, changes: Changes = QUIET) -> pa.Table:
        """What users make of slates: as the scores promise, where they look."""
        slates, items, promised, positions = _cells(exposures)
        promised = promised - changes.score
        if changes.flat:
            promised = np.full(len(promised), promised.mean())
        chance = promised * LOOKED[positions - 1] * changes.rate
        hit = np.flatnonzero(self._random.random(len(slates)) < chance)
        at = pa.array(slates[hit])
        columns: dict[str, Any] = {
            **_done(
                exposures["user_id"].take(at).to_pylist(), [items[i] for i in hit], ["like"] * len(hit), "o"
            ),
            "exposure_id": exposures["exposure_id"].take(at),
            "organic": [False] * len(hit),
            "assigned_variant": ["stable"] * len(hit),
            "release_id": exposures["release_id"].take(at),
        }
        return _table(columns, len(hit), tables.OUTCOMES)

    def organic(self, rows: int, changes: Changes = QUIET) -> pa.Table:
        """What users do by themselves."""
        weights = 1 / np.arange(1, ITEMS + 1) ** 0.8
        items = self._random.choice(ITEMS, rows, p=weights / weights.sum())
        items[self._random.random(rows) < changes.viral] = 70
        new = self._random.random(rows) < changes.unknown
        hides = self._random.random(rows) < changes.hides
        users = [f"u{u}" for u in self._random.integers(0, USERS, rows)]
        names = ["brand new" if n else f"i{i}" for i, n in zip(items, new, strict=True)]
        columns: dict[str, Any] = {
            **_done(users, names, ["hide" if h else "like" for h in hides], "e"),
            "organic": [True] * rows,
        }
        return _table(columns, rows, tables.EVENTS)

    def _shown(self, owners: Ints, changes: Changes) -> Ints:
        """Items without repetition, by taste (Gumbel noise makes it a weighted draw)."""
        genres = np.arange(ITEMS) % 4
        liked = genres == np.where(owners % 3, 0, 1)[:, np.newaxis]
        weights = np.where(liked, 4.0, 1.0) / np.arange(1, ITEMS + 1) ** 0.3
        weights = weights * np.where(genres == 0, changes.comedy, 1.0)
        drawn = np.log(weights) + self._random.gumbel(size=weights.shape)
        drawn[self._random.random(len(owners)) < changes.top, 70] = np.inf
        items: Ints = np.argsort(-drawn, axis=1)[:, :LENGTH]
        return items


def release(seed: int = 1, users: int = 600) -> Release:
    """The release behind this traffic, described from slates and training data of its own."""
    world = World(seed)
    exposures = world.exposures(users)
    names = ["user_id", "item_id", "event", "value", "timestamp"]
    done = pa.concat_tables([world.outcomes(exposures).select(names), world.organic(2 * users).select(names)])
    weights = [EVENTS[event].weight for event in done["event"].to_pylist()]
    described = statistics.describe_interactions(done.append_column("weight", pa.array(weights)))
    shipped = json.loads(json.dumps({"interactions": described}, sort_keys=True))
    reference = Reference.of(world.exposures(users), KNOWN, ("surface",))
    return Release(RELEASE, KNOWN, shipped, EVENTS, Reference.from_json(reference.to_json()))


def _done(users: Sequence[str], items: Sequence[str], events: Sequence[str], name: str) -> dict[str, Any]:
    rows = len(users)
    times = _times(np.arange(rows, dtype=np.int64))
    return {
        "event_id": [f"{name}{row}" for row in range(rows)],
        "user_id": users,
        "item_id": items,
        "event": events,
        "timestamp": times,
        "received": times,
    }


def _cells(exposures: pa.Table) -> tuple[Ints, list[str], npt.NDArray[np.float64], Ints]:
    """Each item shown on the personalised rung: its slate, id, score and position."""
    found = [
        (slate, cell["item_id"], cell["score"], cell["position"])
        for slate, (cells, rung) in enumerate(
            zip(exposures["items"].to_pylist(), exposures["rung"].to_pylist(), strict=True)
        )
        if rung == "personalised"
        for cell in cells
    ]
    slates, items, scores, positions = zip(*found, strict=True) if found else ((), (), (), ())
    return (
        np.asarray(slates, np.int64),
        list(items),
        np.asarray(scores, np.float64),
        np.asarray(positions, np.int64),
    )


def _times(offsets: Ints) -> pa.Array:
    return pa.array(offsets + _START).cast(pa.timestamp("us", "UTC"))


def _table(columns: dict[str, Any], rows: int, schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        found = columns.get(field.name)
        if found is None:
            arrays.append(pa.nulls(rows, field.type))
        elif isinstance(found, pa.ChunkedArray):
            arrays.append(found.combine_chunks().cast(field.type))
        else:
            arrays.append(found if isinstance(found, pa.Array) else pa.array(found, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
