"""The default two-tower model on MovieLens-100K, leave-last-out, beside simple baselines.

Every interaction is a positive; each user's last one is predicted from everything before it,
ranked against the whole catalogue without the items already seen. Run from the repository:

    python benchmarks/leave_last_out.py --seeds 3

Writes ``benchmarks/results/leave_last_out.json``.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from slate import columns
from slate.config import SlateConfig, load_config
from slate.evaluation.baselines import fit_baselines
from slate.evaluation.intervals import paired_difference
from slate.retrieval.query import QueryEncoder
from slate.retrieval.training_data import TrainingData
from slate.retrieval.validation import RankedTargets
from slate.steps.ingest import ingest
from slate.steps.split import split
from slate.steps.train_two_tower import train_two_tower

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "leave_last_out.json"
MEASURES = ("ndcg_10", "hit_rate_10", "hit_rate_100", "seconds")


Ranks = npt.NDArray[np.int64]


class Measured(NamedTuple):
    """One ranker: the rank of each target, from 1, and how long fitting took."""

    ranks: Ranks
    seconds: float

    def row(self, targets: RankedTargets) -> dict[str, float]:
        """The measures of the table."""
        hits = {f"hit_rate_{k}": targets.mean_over_users((self.ranks <= k).astype(float)) for k in (10, 100)}
        return {"ndcg_10": targets.ndcg(self.ranks), **hits, "seconds": self.seconds}

    def gains(self) -> npt.NDArray[np.float64]:
        """NDCG@10 of each target, of which every user has one."""
        return np.where(self.ranks <= 10, 1.0 / np.log2(1.0 + self.ranks), 0.0)


def above(tower: Measured, baseline: Measured) -> dict[str, float]:
    """NDCG@10 of the tower less the baseline's, paired by user, with its 95% interval."""
    difference = paired_difference(tower.gains(), baseline.gains())
    return {"difference": difference.value, "low": difference.low, "high": difference.high}


def measure_baselines(data: TrainingData, targets: RankedTargets) -> dict[str, Measured]:
    """Popularity, Markov and EASE, fitted on the training slice."""
    started = time.perf_counter()
    baselines = fit_baselines(data.split.train_log(), len(data.split.catalogue))
    fitted = time.perf_counter() - started
    rows = {}
    for name, model in baselines.models.items():
        ranked = model.rank([query.history for query in targets.queries], 100)
        found = ranked == targets.items[:, np.newaxis]
        ranks = np.where(found.any(axis=1), found.argmax(axis=1) + 1, 101)
        rows[name] = Measured(ranks, fitted)
    return rows


def measure_tower(config: SlateConfig, seed: int, data: TrainingData, targets: RankedTargets) -> Measured:
    """Train with one seed, export, and measure what was exported."""
    retrieval = config.retrieval.model_copy(update={"seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        train_two_tower(
            retrieval.model_dump(mode="json"), config.section("dataset"), data.split.directory, folder, None
        )
        seconds = time.perf_counter() - started
        table = np.load(Path(folder) / columns.EMBEDDINGS_FILE)
        encoder = QueryEncoder.open(Path(folder) / "query_tower", data.features, retrieval.history)
        return Measured(targets.ranks(encoder.embed(targets.queries), table), seconds)


def prepare(config: SlateConfig, folder: Path) -> Path:
    """Fetch, prepare and split the data."""
    ingest(config.section("dataset"), folder / "dataset")
    split(config.section("dataset"), config.section("split"), folder / "dataset", folder / "splits")
    return folder / "splits"


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    print(f"{'':24s}" + "".join(f"{name:>14s}" for name in MEASURES))
    for name, row in rows.items():
        print(f"{name:24s}" + "".join(f"{row[m]:14.4f}" for m in MEASURES))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=ROOT / "conf" / "movielens.yaml")
    parser.add_argument("--splits", type=Path, help="a leave-last-out splits folder; made anew without it")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    arguments = parser.parse_args()
    config = load_config(arguments.config, ["split.protocol=leave_last_out", *arguments.set])
    with tempfile.TemporaryDirectory() as folder:
        data = TrainingData.open(arguments.splits or prepare(config, Path(folder)))
        targets = data.targets("test", data.features.events, limit=1_000_000, seed=0)
        baselines = measure_baselines(data, targets)
        seeds = [measure_tower(config, seed, data, targets) for seed in range(1, arguments.seeds + 1)]
        rows = {name: measured.row(targets) for name, measured in baselines.items()}
        towers = [measured.row(targets) for measured in seeds]
        rows |= {f"two-tower, seed {number}": row for number, row in enumerate(towers, 1)}
        rows["two-tower, median"] = {m: float(np.median([row[m] for row in towers])) for m in MEASURES}
        show(rows)
        paired = {name: [above(tower, measured) for tower in seeds] for name, measured in baselines.items()}
        for name, differences in paired.items():
            shown = ", ".join(
                f"{d['difference']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}]" for d in differences
            )
            print(f"NDCG@10 above {name}, by seed: {shown}")
        result: dict[str, Any] = {
            "targets": len(targets),
            "rows": rows,
            "paired_by_seed": paired,
            "retrieval": config.section("retrieval"),
            "split_fingerprint": data.split.fingerprint,
            "machine": {
                "cores": len(os.sched_getaffinity(0)),
                "platform": platform.platform(),
                "python": platform.python_version(),
                "versions": {n: version(n) for n in ("tensorflow", "tensorflow-recommenders", "numpy")},
            },
        }
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
