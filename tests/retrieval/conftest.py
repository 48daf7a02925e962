"""Small worlds for two-tower tests."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.config import Feature, FeatureKind, RetrievalConfig
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace, fit_encoders
from slate.data.sequences import UserLog

Row = tuple[str, str, str, int]

SECOND = 1_000_000
EVENTS = ("like", "view", "hide")


def interactions(rows: Sequence[Row]) -> pa.Table:
    """A prepared interactions table of (user, item, event, second) rows."""
    users, items, events, seconds = (list(column) for column in zip(*rows, strict=True))
    instants = pa.array([s * SECOND for s in seconds], pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "event": pa.array(events, pa.string()),
            "value": pa.nulls(len(rows), pa.float64()),
            "weight": pa.array([1.0] * len(rows)),
            "timestamp": instants,
        }
    )


def catalogue(size: int, counts: Sequence[int] | None = None) -> Catalogue:
    """Items i00, i01, ... whose group is even or odd, the last two also being rare."""
    ids = [f"i{number:02d}" for number in range(size)]
    groups = [["even" if n % 2 == 0 else "odd"] + (["rare"] if n >= size - 2 else []) for n in range(size)]
    return Catalogue(
        pa.table(
            {
                "item_id": ids,
                "title": [f"Film {'of' if n % 3 else 'and'} number" for n in range(size)],
                "groups": groups,
                "year": pa.array([1990.0 + n for n in range(size)]),
                "train_count": pa.array(list(counts) if counts else [5] * size, pa.int64()),
            }
        )
    )


def space(items: Catalogue, users: pa.Table) -> FeatureSpace:
    """Every kind of feature the towers embed, and three events."""
    kinds = {"groups": FeatureKind.CATEGORICAL_LIST, "title": FeatureKind.TEXT, "year": FeatureKind.NUMERIC}
    item_features = {name: Feature(kind=kind) for name, kind in kinds.items()}
    user_features = {
        "age": Feature(kind=FeatureKind.NUMERIC),
        "country": Feature(kind=FeatureKind.CATEGORICAL),
    }
    return FeatureSpace(
        fit_encoders(item_features, {name: items.table[name].to_pylist() for name in kinds}),
        fit_encoders(user_features, {name: users[name].to_pylist() for name in user_features}),
        (),
        EVENTS,
    )


def cycle_rows(users: int, items: int, length: int) -> list[Row]:
    """Each user walks i00, i01, ... from a start of their own, one step every 10 seconds."""
    return [
        (
            f"u{user:02d}",
            f"i{(user * 5 + step) % items:02d}",
            EVENTS[(user + step) % 2],
            1000 + user + 10 * step,
        )
        for user in range(users)
        for step in range(length)
    ]


@pytest.fixture(scope="session")
def config() -> RetrievalConfig:
    """A model of a few thousand parameters."""
    return RetrievalConfig(
        dim=16,
        blocks=1,
        heads=2,
        history=8,
        dropout=0.1,
        batch_size=16,
        slots=1.0,
        learning_rate=0.01,
        epochs=3,
        patience=3,
    )


def save_splits(
    folder: Path, train: Sequence[Row], valid: Sequence[Row], test: Sequence[Row], items: int
) -> Path:
    """Write a splits folder from the rows of its three parts."""
    for part, rows in (("train", train), ("valid", valid), ("test", test)):
        pq.write_table(interactions(rows), folder / f"{part}.parquet")
    names = sorted({row[0] for row in (*train, *valid, *test)})
    users = pa.table(
        {
            "user_id": names,
            "age": [20.0 + 3 * n for n in range(len(names))],
            "country": [("fr", "de", "it")[n % 3] for n in range(len(names))],
        }
    )
    seen = [row[1] for row in train]
    table = catalogue(items, [seen.count(f"i{n:02d}") for n in range(items)])
    pq.write_table(users, folder / "users.parquet")
    pq.write_table(table.table, folder / "items.parquet")
    (folder / "features.json").write_text(space(table, users).to_json())
    (folder / "split.json").write_text(json.dumps({"fingerprint": folder.name, "protocol": "temporal"}))
    return folder


@pytest.fixture
def write_splits(tmp_path: Path) -> Callable[..., Path]:
    """:func:`save_splits` into a fresh folder."""

    def write(*parts: Sequence[Row], items: int, name: str = "splits") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        train, valid, test = parts
        return save_splits(folder, train, valid, test, items)

    return write


@pytest.fixture(scope="session")
def cycle_splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Walkers of 14 items whose 8th and 9th steps are validation and test."""
    rows = cycle_rows(users=28, items=14, length=9)
    per_user = [rows[start : start + 9] for start in range(0, len(rows), 9)]
    parts = [[r for walk in per_user for r in walk[part]] for part in (slice(7), slice(7, 8), slice(8, 9))]
    return save_splits(tmp_path_factory.mktemp("cycle"), *parts, items=14)


@pytest.fixture
def log_of() -> Callable[[Sequence[Row], Catalogue], UserLog]:
    """A user log of rows."""
    return lambda rows, items: UserLog.from_table(interactions(rows), items.ids, EVENTS)
