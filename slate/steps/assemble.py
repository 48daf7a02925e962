"""Put the artefacts of a run together as a release folder that is not sealed yet."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.config import DatasetConfig, RankingConfig, RecommendConfig, RetrievalConfig, parse_section
from slate.data import statistics
from slate.data.catalogue import Catalogue
from slate.data.holdout import Split
from slate.evaluation.holdout import HISTORY_FILE
from slate.recommend import fallback, recommender, users
from slate.retrieval.sources.write import write_sources
from slate.steps.parent import RANKER_WEIGHTS, TOWER_WEIGHTS

CONTENT: Final = "content"
DRAFT: Final = "draft.json"
POPULAR_SOURCE: Final = "sources/popular.parquet"
HOLDOUT: Final = "holdout"
REPORTS: Final = "reports"


def assemble(
    config: Mapping[str, Any],
    splits: Path,
    two_tower: Path,
    index: Path,
    ranker: Path,
    content: Path,
) -> None:
    """Write everything an answer needs into ``content``: models, index, items, users, fallbacks, holdout.

    Args:
        config: section name to section.
        content: a folder that does not exist yet.
    """
    dataset_config = parse_section(DatasetConfig, config["dataset"])
    retrieval = parse_section(RetrievalConfig, config["retrieval"])
    ranking = parse_section(RankingConfig, config["ranking"])
    recommend = parse_section(RecommendConfig, config["recommend"])
    content.mkdir(parents=True)
    copies = {
        two_tower / "query_tower": recommender.QUERY_TOWER,
        two_tower / columns.EMBEDDINGS_FILE: recommender.EMBEDDINGS,
        index: recommender.INDEX,
        ranker / "model": recommender.RANKER,
        splits / columns.ITEMS_FILE: columns.ITEMS_FILE,
        splits / columns.FEATURES_FILE: columns.FEATURES_FILE,
    }
    for source, target in copies.items():
        _copy(source, content / target)
    # What an incremental run starts from; models trained otherwise may lack it, and answer all the same.
    for folder, target in ((two_tower, TOWER_WEIGHTS), (ranker, RANKER_WEIGHTS)):
        if (folder / columns.WEIGHTS_FILE).is_file():
            _copy(folder / columns.WEIGHTS_FILE, content / target)
    split = Split.open(splits)
    log = split.user_log()
    catalogue = Catalogue.open(splits)
    user_table = pq.read_table(splits / columns.USERS_FILE)
    length = max(retrieval.history, ranking.history)
    users.write_users(content / recommender.USERS, log, user_table, length)
    everything = split.everything()
    _write_popular(everything, dataset_config.target_events, content)
    write_sources(recommend, split, log, dataset_config.target_events, content)
    tables = {"interactions": everything, "items": catalogue.table, "users": user_table}
    (content / columns.STATISTICS_FILE).write_text(
        json.dumps(statistics.describe(tables), ensure_ascii=False, sort_keys=True), encoding="utf-8"
    )
    _write_holdout(split, everything, user_table, splits, content / HOLDOUT)


def content_hash(folder: Path, config: Mapping[str, Any]) -> str:
    """sha256 over what a release answers with: its files, reports and manifest left out, and the
    configuration that is read when it is opened. Two releases of one hash answer alike.
    """
    served = [config["recommend"], config["retrieval"]["history"]]
    digest = hashlib.sha256(json.dumps(served, sort_keys=True).encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == columns.MANIFEST_FILE or name.startswith(f"{REPORTS}/"):
            continue
        with path.open("rb") as file:
            digest.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        # A SavedModel without assets leaves an empty folder, which a sealed release may not hold.
        def empty(folder: str, names: list[str]) -> list[str]:
            return [n for n in names if (Path(folder) / n).is_dir() and not any((Path(folder) / n).iterdir())]

        shutil.copytree(source, target, ignore=empty)
    else:
        shutil.copy2(source, target)


def _write_popular(interactions: pa.Table, targets: Sequence[str], content: Path) -> None:
    wanted = interactions.filter(pc.is_in(interactions[columns.EVENT], pa.array(targets, pa.string())))
    # A user counts once an item: nobody makes an item popular alone.
    counts = wanted.group_by(columns.ITEM).aggregate([(columns.USER, "count_distinct")])
    counts = counts.rename_columns([columns.ITEM, "count"])
    counts = counts.sort_by([("count", "descending"), (columns.ITEM, "ascending")])
    shares = counts["count"].to_numpy() / max(pc.count_distinct(wanted[columns.USER]).as_py(), 1)
    path = content / POPULAR_SOURCE
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(counts.append_column(columns.SCORE, pa.array(shares.astype(np.float32))), path)
    fallback.write(content, counts[columns.ITEM].to_pylist(), shares.tolist())


def _write_holdout(
    split: Split, interactions: pa.Table, user_table: pa.Table, splits: Path, out: Path
) -> None:
    """The frozen test slice, with what its users did and their features."""
    out.mkdir(parents=True)
    shutil.copy2(splits / columns.TEST_FILE, out / columns.TEST_FILE)
    shutil.copy2(splits / columns.SPLIT_FILE, out / columns.SPLIT_FILE)
    if split.protocol == "leave_last_out":
        interactions = _read(splits, columns.TRAIN_FILE, columns.VALID_FILE)
    tested = pq.read_table(splits / columns.TEST_FILE, columns=[columns.USER])[columns.USER].unique()
    pq.write_table(interactions.filter(pc.is_in(interactions[columns.USER], tested)), out / HISTORY_FILE)
    pq.write_table(user_table.filter(pc.is_in(user_table[columns.USER], tested)), out / columns.USERS_FILE)


def _read(folder: Path, *names: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(folder / name) for name in names])
