"""Releases to serve: made up, of any size, sealed by the code that seals real ones, and kept in a cache."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.serving.environments import MissingError
from benchmarks.serving.synthetic import Size, dataset_config, write_splits
from slate.release.channels import STABLE, move_channel, read_channel
from slate.release.layout import release_prefix
from slate.storage import open_store

#: Changes whenever what is made here does.
_VERSION: Final = 8
_SEED: Final = 7
_USERS_ASKED: Final = 2_000
#: Queries on which the index is tuned and measured: exact search over a large catalogue is slow.
_INDEX_SAMPLE: Final = 200


@dataclass(frozen=True)
class World:
    """A store with a release, and users of it to ask for; the item ids begin with ``prefix``."""

    name: str
    store: Path
    release_id: str
    users: tuple[str, ...]
    items: int
    prefix: str = ""

    @property
    def folder(self) -> Path:
        """The release's own folder."""
        return self.store / release_prefix(self.release_id)


def synthetic(size: Size, cache: Path, say: Callable[[str], None], seed: int = _SEED) -> World:
    """The world of a size, from the cache or made now."""
    store = cache / "worlds" / f"v{_VERSION}-{size.prefix}-{size.items}-{size.users}-{seed}"
    if not store.exists():
        say(f"making a catalogue of {size.items:,} items")
        started = time.monotonic()
        _make(size, seed, store)
        say(f"made in {time.monotonic() - started:.0f} s")
    return opened(f"synthetic-{size.items}", store, size.prefix)


def opened(name: str, store: Path, prefix: str = "") -> World:
    """The world of an existing store: what its ``stable`` channel names, or its one release."""
    from slate.recommend.opened import USERS
    from slate.recommend.users import UserStore

    objects = open_store(str(store))
    channel = read_channel(objects, STABLE)
    if channel is None:
        raise MissingError(f"{store}: its channel {STABLE} is empty; promote a release")
    release_id = channel.release_id
    folder = store / release_prefix(release_id)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    users = UserStore(folder / USERS).sample(_USERS_ASKED)
    return World(name, store, release_id, tuple(users), manifest["index"]["size"], prefix)


def _make(size: Size, seed: int, store: Path) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.parent, prefix=".making-") as scratch:
        work = Path(scratch)
        release_id = _seal(_content(size, seed, work), work)
        target = work / "store" / release_prefix(release_id)
        target.parent.mkdir(parents=True)
        (work / "content").rename(target)
        made = open_store(str(work / "store"))
        move_channel(made, STABLE, release_id, reason="made", by="benchmark", expected_sequence=0)
        (work / "store").rename(store)


def _content(size: Size, seed: int, work: Path) -> dict[str, Any]:
    """Write ``work/content`` by the pipeline's own steps; the configuration of the release."""
    from benchmarks.serving.untrained import write_ranker, write_towers
    from slate.columns import EMBEDDINGS_FILE
    from slate.config import RankingConfig, RecommendConfig, RetrievalConfig
    from slate.data.holdout import Split
    from slate.steps.assemble import assemble
    from slate.steps.build_index import build_index

    splits, towers, index, ranker = (work / name for name in ("splits", "towers", "index", "ranker"))
    write_splits(size, seed, splits)
    split = Split.open(splits)
    write_towers(split, size, RetrievalConfig(), seed, towers)
    build_index({"sample": _INDEX_SAMPLE}, splits, towers, index)
    write_ranker(split, RankingConfig(), towers / EMBEDDINGS_FILE, seed, ranker / "model")
    sections = {
        "dataset": dataset_config(),
        "retrieval": RetrievalConfig(),
        "ranking": RankingConfig(),
        "recommend": RecommendConfig(),
    }
    config = {name: section.model_dump(mode="json") for name, section in sections.items()}
    assemble(config, splits, towers, index, ranker, work / "content")
    return config


def _seal(config: dict[str, Any], work: Path) -> str:
    from slate.recommend.golden import golden_requests
    from slate.recommend.opened import INDEX
    from slate.recommend.recommender import Recommender
    from slate.release.manifest import ManifestFields
    from slate.release.seal import seal
    from slate.release.verify import installed_versions

    content = work / "content"
    record = json.loads((work / "splits" / "split.json").read_text(encoding="utf-8"))
    index = json.loads((content / INDEX / "index.json").read_text(encoding="utf-8"))
    check = {"name": "synthetic", "passed": True, "detail": "made for measuring, never trained"}
    fields = ManifestFields.model_validate(
        {
            "code_revision": "benchmark",
            "parent": None,
            "dataset": {
                "fingerprint": record["fingerprint"],
                "rows": record["rows"]["train"],
                **{name: record[name] for name in ("train_end", "valid_end", "watermark")},
            },
            "config": config,
            "events": {name: {"weight": event.weight} for name, event in dataset_config().events.items()},
            "metrics": {},
            "baselines": {},
            "verdict": {"status": "passed", "checks": [check]},
            "index": {name: index[name] for name in ("kind", "dim", "size", "k", "recall")},
            "golden": golden_requests(Recommender(content, config, "unsealed"), record["watermark"]),
            "requires": installed_versions(),
        }
    )
    return seal(content, fields).release_id
