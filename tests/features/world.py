"""A made-up world with two features of every kind on every side, and awkward values in all of them."""

import csv
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slate.data.holdout import Split
from slate.release.manifest import ManifestFields
from slate.release.seal import seal
from slate.release.verify import installed_versions
from slate.steps.assemble import assemble
from slate.steps.build_index import build_index
from slate.steps.ingest import ingest
from slate.steps.split import split
from slate.steps.train_ranker import train_ranker
from slate.steps.train_two_tower import train_two_tower
from slate.steps.validate import validate

START = datetime(2025, 1, 1, tzinfo=UTC)
EVENTS = ("hide", "like", "share", "watch")
TARGETS = ("like", "share", "watch")
ITEMS = [*map(str, range(30)), "007", *(f"film {n}, é" for n in range(25)), *(f"映画 {n}" for n in range(24))]
#: Known from interactions alone: no row in the items table.
UNLISTED_ITEM, UNLISTED_USER = "🎬", "ghost"
_WORDS = ("Été", "night", "HOUSE", "Straße", "дом", "東京", "x_1", "42", "of", "the")
_TAGS = ("comedy", "drama", "crime", "war", "naïve", "a b")

CONFIG: dict[str, Any] = {
    "dataset": {
        "name": "awkward",
        "interactions": {
            "path": "interactions.parquet",
            "columns": {
                "user_id": "who", "item_id": "what", "event": "did", "value": "long", "timestamp": "when",
            },
            "features": {
                "surface": "categorical", "dark": "categorical", "network": "id", "cell": "id",
                "flags": "categorical_list", "tabs": {"kind": "categorical_list", "separator": ";"},
                "battery": "numeric", "volume": "numeric", "query": "text", "note": "text",
                "local": "timestamp", "opened": "timestamp", "consent": "sensitive", "minor": "sensitive",
            },
        },
        "items": {
            "path": "items.csv",
            "columns": {"item_id": "what", "title": "name"},
            "features": {
                "genre": "categorical", "country": "categorical", "studio": "id", "series": "id",
                "tags": "categorical_list", "cast": {"kind": "categorical_list", "separator": ";"},
                "minutes": "numeric", "year": "numeric", "blurb": "text", "review": "text",
                "released": "timestamp", "added": "timestamp", "rating": "sensitive", "origin": "sensitive",
            },
        },
        "users": {
            "path": "users.csv",
            "columns": {"user_id": "who"},
            "features": {
                # Two of these are called as columns of the released users file are.
                "events": "categorical", "plan": "categorical", "handle": "id", "town": "id",
                "items": "categorical_list", "langs": {"kind": "categorical_list", "separator": ";"},
                "age": "numeric", "height": "numeric", "bio": "text", "motto": "text",
                "joined": "timestamp", "born": "timestamp", "gender": "sensitive", "faith": "sensitive",
            },
        },
        "events": {
            "watch": {"weight": 1, "weight_by": "value"}, "like": {"weight": 2}, "share": {"weight": 3},
            "hide": {"weight": -2},
        },
    },
    "split": {"unseen_users": 0.02, "valid_fraction": 0.2, "test_fraction": 0.1},
    "retrieval": {
        "dim": 16, "blocks": 1, "heads": 1, "history": 16, "epochs": 1, "batch_size": 64,
        "validation_targets": 100_000,
    },
    "index": {"k": 20},
    # Longer than the tower's, so that the release must keep more than the tower looks at.
    "ranking": {"dim": 8, "hidden": [16], "history": 24, "epochs": 1, "candidates": 10, "max_queries": 300},
    "recommend": {"candidates": 10, "golden": 2},
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """Folders of the steps that were run, and, where models were trained, the sealed release."""

    config: Mapping[str, Any]
    folders: Mapping[str, Path]

    @property
    def split(self) -> Split:
        return Split.open(self.folders["splits"])


def write_world(folder: Path, people: int, seed: int = 11) -> dict[str, Any]:
    """Write the raw tables into ``folder``; returns the configuration with paths into it."""
    generator = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    users = [f"u{n}" if n % 3 else f"ünï {n}" for n in range(people)]
    _write_csv(folder / "items.csv", [_item(generator, item) for item in ITEMS])
    # The last tenth of the people never do anything; one who does is not in the table.
    _write_csv(folder / "users.csv", [_user(generator, user) for user in users])
    active = [*users[: people - people // 10], UNLISTED_USER]
    rows = [row for user in active for row in _life(generator, user)]
    generator.shuffle(rows)
    pq.write_table(pa.Table.from_pylist(rows, _schema()), folder / "interactions.parquet")
    dataset = dict(CONFIG["dataset"])
    for side in ("interactions", "items", "users"):
        dataset[side] = {**dataset[side], "path": str(folder / dataset[side]["path"])}
    return {**CONFIG, "dataset": dataset}


def prepare(folder: Path, config: Mapping[str, Any]) -> World:
    """Ingest, validate and split."""
    at = {name: folder / name for name in ("raw", "dataset", "splits")}
    dataset = config["dataset"]
    ingest(dataset, at["raw"], folder / "cache")
    validate(dataset, at["raw"], at["dataset"], folder / "validation.html")
    split(dataset, config["split"], at["dataset"], at["splits"])
    return World(config, at)


def train(folder: Path, prepared: World) -> World:
    """Train both models for an epoch, then assemble and seal a release. Nothing is measured."""
    config = dict(prepared.config)
    at = {**prepared.folders, **{name: folder / name for name in ("two_tower", "index", "ranker", "release")}}
    train_two_tower(config["retrieval"], config["dataset"], at["splits"], at["two_tower"], None)
    build_index(config["index"], at["splits"], at["two_tower"], at["index"])
    train_ranker(
        config["ranking"], config["dataset"], at["splits"], at["two_tower"], at["index"], at["ranker"]
    )
    assemble(config, at["splits"], at["two_tower"], at["index"], at["ranker"], at["release"])
    versions = installed_versions()
    record = prepared.split.record
    fields = {
        "code_revision": "test",
        "parent": None,
        "dataset": {
            "fingerprint": record["dataset_fingerprint"],
            "rows": sum(record["rows"].values()),
            **{name: record[name] for name in ("train_end", "valid_end", "watermark")},
        },
        "config": config,
        "events": {name: {"weight": 1.0} for name in EVENTS},
        "metrics": {},
        "baselines": {},
        "verdict": {"status": "passed", "checks": []},
        "index": {"kind": "brute_force", "dim": 16, "size": len(ITEMS) + 1, "k": 20, "recall": 1.0},
        "golden": [],
        "requires": {name: versions[name] for name in ("slate", "litert", "scann")},
    }
    seal(at["release"], ManifestFields.model_validate(fields))
    return World(config, at)


def _life(generator: random.Random, user: str) -> list[dict[str, Any]]:
    """One user's interactions: short and long, with ties in time and returns to old items."""
    clock = START + timedelta(seconds=generator.randrange(0, 60 * 86_400))
    count = generator.choice((1, 2, 5, 12, 20, 30, 45))
    done: set[tuple[str, str, datetime]] = set()
    rows = []
    for _ in range(count):
        if generator.random() > 0.2:
            clock += timedelta(microseconds=generator.choice((1, 10**6, 3_600 * 10**6, 86_400 * 10**6)))
        item = generator.choice([*ITEMS, UNLISTED_ITEM])
        event = generator.choices(EVENTS, (1, 3, 1, 6))[0]
        if (item, event, clock) in done:
            continue
        done.add((item, event, clock))
        value = generator.choice((None, 0.0, 3.5, 1e6)) if event == "watch" else None
        core = {"who": user, "what": item, "did": event, "long": value, "when": clock}
        rows.append(core | _context(generator))
    return rows


def _schema() -> pa.Schema:
    """Of the raw interactions: booleans, whole numbers kept as floats, and real lists are among them."""
    instant, text, number = pa.timestamp("us", "UTC"), pa.string(), pa.float64()
    named = {
        "who": text, "what": text, "did": text, "long": number, "when": instant,
        "surface": text, "dark": pa.bool_(), "network": number, "cell": pa.int64(),
        "flags": pa.list_(text), "tabs": text, "battery": number, "volume": text, "query": text,
        "note": text, "local": instant, "opened": text, "consent": text, "minor": pa.bool_(),
    }  # fmt: skip
    return pa.schema(list(named.items()))


def _context(generator: random.Random) -> dict[str, Any]:
    moment = START + timedelta(seconds=generator.randrange(0, 10**7))
    return {
        "surface": _maybe(generator, lambda: generator.choice(("phone", "tv", "téléphone", " tv"))),
        "dark": _maybe(generator, lambda: generator.random() < 0.5),
        "network": _maybe(generator, lambda: float(generator.randrange(5))),
        "cell": _maybe(generator, lambda: generator.randrange(12)),
        "flags": _maybe(generator, lambda: generator.choices(_TAGS, k=generator.randrange(20))),
        "tabs": _maybe(generator, lambda: ";".join(generator.choices(_TAGS, k=generator.randrange(1, 5)))),
        "battery": _maybe(generator, lambda: generator.choice((0.0, 55.5, -3.0, 1e9, 100.0))),
        "volume": _maybe(generator, lambda: generator.choice(("11", " 2.5 ", "1e3", "loud", "-0"))),
        "query": _maybe(generator, lambda: _sentence(generator)),
        "note": _maybe(generator, lambda: _sentence(generator)),
        "local": _maybe(generator, lambda: moment),
        "opened": _maybe(generator, lambda: moment.strftime("%Y-%m-%d %H:%M:%S")),
        "consent": _maybe(generator, lambda: "yes"),
        "minor": _maybe(generator, lambda: generator.random() < 0.1),
    }


def _item(generator: random.Random, item: str) -> dict[str, Any]:
    return {
        "what": item,
        "name": f"The {item}",
        "genre": generator.choice((*_TAGS, "")),
        "country": generator.choice(("fr", "DE", "日本", "")),
        "studio": generator.randrange(9),
        "series": generator.choice(("1.0", "1", "")),
        "tags": "|".join(generator.choices(_TAGS, k=generator.randrange(4))),
        "cast": ";".join(generator.choices(_WORDS, k=generator.randrange(20))),
        "minutes": generator.choice(("", "90", "1e2", "none", "101.5")),
        "year": 2000 + generator.randrange(25),
        "blurb": _sentence(generator),
        "review": generator.choice(("", _sentence(generator))),
        "released": f"{1990 + generator.randrange(30)}-02-28",
        "added": generator.choice(("", "1700000000", "2024-05-06T07:08:09+02:00")),
        "rating": generator.choice(("12", "18")),
        "origin": "x",
    }


def _user(generator: random.Random, user: str) -> dict[str, Any]:
    return {
        "who": user,
        "events": generator.choice(("many", "few", "")),
        "plan": generator.choice(("free", "Prémium", "")),
        # One of its own for each user, by which training rows are told apart.
        "handle": f"@{user}",
        "town": generator.choice(("1", "01", "Łódź", "")),
        "items": "|".join(generator.choices(_TAGS, k=generator.randrange(4))),
        "langs": ";".join(generator.choices(("fr", "de", "日本語"), k=generator.randrange(3))),
        "age": generator.choice(("", "17", "33.5", "n/a", "120")),
        "height": f"{generator.gauss(170, 12):.3f}",
        "bio": _sentence(generator),
        "motto": generator.choice(("", _sentence(generator))),
        "joined": f"{2015 + generator.randrange(9)}-07-14 23:59:59",
        "born": generator.choice(("", "1970-01-01", "1899-12-31T00:00:00Z")),
        "gender": generator.choice(("f", "m", "x")),
        "faith": "y",
    }


def _sentence(generator: random.Random) -> str:
    return " ".join(generator.choices(_WORDS, k=generator.randrange(1, 22)))


def _maybe(generator: random.Random, make: Callable[[], Any]) -> Any:
    return make() if generator.random() < 0.85 else None


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
