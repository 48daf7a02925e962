"""The data of all trials, made once: a splits folder whose test part has no rows."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from slate import columns
from slate.config import SlateConfig
from slate.data.holdout import Split
from slate.data.ingest import source_fingerprint
from slate.steps.ingest import ingest
from slate.steps.split import split
from slate.steps.validate import validate

DATA: Final = "data"


@dataclass(frozen=True)
class Prepared:
    """What trials may read, and whether an earlier call had made it from the same inputs."""

    splits: Path
    reused: bool

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the whole split, its test part included."""
        return Split.open(self.splits).fingerprint


def prepare(config: SlateConfig, code: str, cache: Path, root: Path) -> Prepared:
    """Ingest, validate and split below ``root``, or find what the same inputs gave before.

    Args:
        code: what the result depends on beside its inputs, see ``pipelines.fingerprint``.
        cache: where downloads are kept.

    Raises:
        DataError: the data cannot be read, or a check of severity ``error`` found something.
    """
    dataset, cut = config.section("dataset"), config.section("split")
    key = digest({"source": source_fingerprint(config.dataset, cache), "split": cut, "code": code})
    folder = root / DATA / key[:16]
    if folder.exists():
        return Prepared(folder, reused=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
        at = {name: Path(scratch) / name for name in ("raw", "dataset", "splits", "visible")}
        ingest(dataset, at["raw"], cache)
        validate(dataset, at["raw"], at["dataset"], Path(scratch) / "validation.html")
        split(dataset, cut, at["dataset"], at["splits"])
        without_test(at["splits"], at["visible"])
        # Another process may have made it meanwhile; both made the same.
        if not folder.exists():
            at["visible"].rename(folder)
    return Prepared(folder, reused=False)


def without_test(splits: Path, out: Path) -> None:
    """Copy a splits folder, its test part as a table of the same columns and no rows."""
    shutil.copytree(splits, out, ignore=shutil.ignore_patterns(columns.TEST_FILE))
    schema = pq.read_schema(splits / columns.TEST_FILE)
    pq.write_table(schema.empty_table(), out / columns.TEST_FILE)


def digest(content: Any) -> str:
    """sha256 of JSON content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
