"""A release and days of its traffic, with known truth: users with tastes, who act by what they are shown."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from slate.config import Event
from slate.data import statistics
from slate.feedback import tables
from slate.monitoring.log import Log
from slate.monitoring.measure import Release
from slate.monitoring.reference import Reference
from slate.monitoring.traffic import HISTORY, Known

DAY = datetime(2026, 11, 20, tzinfo=UTC)
RELEASE = "20261101T000000000000Z-abcdefabcdef"
EVENTS = {"like": Event(weight=1.0), "hide": Event(weight=-2.0)}
ITEMS, USERS, LENGTH = 80, 3000, 6
#: How many look at each position: the first always, the last seldom.
LOOKED = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
_RATE = 0.25
_GENRES = ("comedy", "drama", "crime", "war")


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


class World:
    """Makes exposures, outcomes and organic events from one truth that ``changes`` may move.

    Changes: ``genre`` (weight of showing comedy), ``young`` (people of less than 35 years alone), ``strangers``
    (share of unknown users), ``tv`` (share of requests), ``top`` (one item in every slate), ``viral`` (an item
    all act on), ``hides`` (share of organic events), ``unknown`` (share of them on new items), ``score``
    (added to all), ``rate`` (outcomes, times), ``flat`` (outcomes that scores do not predict), ``popular`` and
    ``empty`` (shares of slates), ``slow`` (times the latency).
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._known = known()
        self._ages = self._known.users["age"].to_numpy()

    def exposures(
        self, users: int, changes: dict[str, Any] | None = None, release: str = RELEASE
    ) -> pa.Table:
        """One to five slates of each of so many users over the day."""
        moved = changes or {}
        people = np.arange(USERS) if "young" not in moved else np.flatnonzero(self._ages < 35)
        chosen = self._random.choice(people, users, replace=False)
        strange = self._random.random(users) < moved.get("strangers", 0.0)
        rows = []
        for user, new in zip(chosen, strange, strict=True):
            for _ in range(self._random.integers(1, 6)):
                rows.append(self._slate(int(user), bool(new), len(rows), moved, release))
        return pa.Table.from_pylist(rows, schema=tables.EXPOSURES)

    def outcomes(self, exposures: pa.Table, changes: dict[str, Any] | None = None) -> pa.Table:
        """What users make of slates: as the scores promise where they look."""
        moved = changes or {}
        rows: list[dict[str, Any]] = []
        for slate in exposures.to_pylist():
            if slate["rung"] != "personalised":
                continue
            for item in slate["items"]:
                promised = _RATE if moved.get("flat") else item["score"] - moved.get("score", 0.0)
                chance = promised * LOOKED[item["position"] - 1] * moved.get("rate", 1.0)
                if self._random.random() < chance:
                    rows.append(self._done(slate["user_id"], item["item_id"], "like", len(rows), slate))
        return pa.Table.from_pylist(rows, schema=tables.OUTCOMES)

    def organic(self, rows: int, changes: dict[str, Any] | None = None) -> pa.Table:
        """What users do by themselves; the training data are of the same kind."""
        moved = changes or {}
        weights = 1 / np.arange(1, ITEMS + 1) ** 0.8
        items = self._random.choice(ITEMS, rows, p=weights / weights.sum())
        names = [f"i{i}" for i in items]
        found = []
        for row, name in enumerate(names):
            if self._random.random() < moved.get("viral", 0.0):
                name = "i70"
            if self._random.random() < moved.get("unknown", 0.0):
                name = "brand new"
            event = "hide" if self._random.random() < moved.get("hides", 0.1) else "like"
            user = f"u{self._random.integers(0, USERS)}"
            found.append(self._done(user, name, event, row, None))
        return pa.Table.from_pylist(found, schema=tables.EVENTS)

    def log(self, changes: dict[str, Any] | None = None, users: int = 300) -> Log:
        """A whole day whose outcomes have all come."""
        exposures = self.exposures(users, changes)
        end = DAY + timedelta(days=1)
        complete = end + timedelta(days=1)
        return Log(
            DAY, end, complete, exposures, self.outcomes(exposures, changes), self.organic(600, changes)
        )

    def _slate(self, user: int, new: bool, row: int, moved: dict[str, Any], release: str) -> dict[str, Any]:
        likes = 0 if user % 3 else 1
        weights = np.where(np.arange(ITEMS) % 4 == likes, 4.0, 1.0) / np.arange(1, ITEMS + 1) ** 0.3
        weights *= np.where(np.arange(ITEMS) % 4 == 0, moved.get("genre", 1.0), 1.0)
        items = self._random.choice(ITEMS, LENGTH, replace=False, p=weights / weights.sum())
        if self._random.random() < moved.get("top", 0.0) and 70 not in items:
            items[0] = 70
        scores = np.sort(self._random.beta(2, 6, LENGTH) + moved.get("score", 0.0))[::-1]
        popular = self._random.random() < moved.get("popular", 0.0)
        shown: Sequence[int] = [] if self._random.random() < moved.get("empty", 0.0) else items
        surface = "tv" if self._random.random() < moved.get("tv", 0.5) else "phone"
        return {
            "exposure_id": f"{release}-{row}",
            "timestamp": DAY + timedelta(seconds=int(self._random.integers(0, 86_400))),
            "user_id": f"{'new' if new else 'u'}{user}",
            "assigned_variant": "stable",
            "served_variant": "stable",
            "release_id": release,
            "rung": "popular" if popular else "personalised",
            "latency_ms": float(self._random.gamma(4, 5)) * moved.get("slow", 1.0),
            "context": json.dumps({"surface": surface}),
            "items": [
                {"item_id": f"i{i}", "score": s, "position": p, "source": "two_tower", "propensity": 1.0}
                for p, (i, s) in enumerate(zip(shown, scores, strict=False), start=1)
            ],
        }

    def _done(
        self, user: str, item: str, event: str, row: int, slate: dict[str, Any] | None
    ) -> dict[str, Any]:
        at = DAY + timedelta(seconds=row)
        found = {
            "event_id": f"e{row}",
            "user_id": user,
            "item_id": item,
            "event": event,
            "value": None,
            "timestamp": at,
            "received": at,
            "exposure_id": slate and slate["exposure_id"],
            "organic": slate is None,
        }
        if slate is not None:
            found |= {"assigned_variant": "stable", "release_id": slate["release_id"]}
        return found


def release(seed: int = 1, users: int = 600) -> Release:
    """The release behind this traffic, described from slates of its own."""
    world = World(seed)
    # Training data are of outcomes and organic events alike, as a log that was learnt from is.
    exposures = world.exposures(users)
    columns = ["user_id", "item_id", "event", "value", "timestamp"]
    done = pa.concat_tables([world.outcomes(exposures).select(columns), world.organic(1200).select(columns)])
    weights = [EVENTS[event].weight for event in done["event"].to_pylist()]
    table = done.append_column("weight", pa.array(weights, pa.float64()))
    described = json.loads(
        json.dumps({"interactions": statistics.describe_interactions(table)}, sort_keys=True)
    )
    reference = Reference.of(world.exposures(users), known(), ("surface",))
    return Release(RELEASE, known(), described, EVENTS, Reference.from_json(reference.to_json()))
