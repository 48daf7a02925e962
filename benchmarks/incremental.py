"""Ten simulated days: retrained in full, brought up to date, and left as it was.

The last part of a data set arrives day by day, and an item enters the catalogue on the day somebody first
meets it. Each day three models are asked the same frozen holdout, which none has seen: one trained in full on
all there is, one that is yesterday's brought up to date, and that of the first day. Run from the repository:

    python benchmarks/incremental.py

Time is that of the steps that train and index, in one process; explanations of the ranker, which both would
have alike, are left out. Writes ``benchmarks/results/incremental.json`` and ``incremental.md``. A quick look,
on few epochs:

    python benchmarks/incremental.py --days 2 --set retrieval.epochs=3 --set ranking.epochs=2 --out /tmp/quick
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from slate import columns
from slate.config import SlateConfig, load_config
from slate.data.catalogue import TRAIN_COUNT
from slate.data.ingest import Prepared, Rows, write
from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.evaluation.holdout import Holdout, asks_for
from slate.evaluation.intervals import Difference
from slate.evaluation.measure import measure
from slate.evaluation.rankers import funnel_ranker
from slate.evaluation.targets import Targets
from slate.recommend.recommender import Recommender
from slate.steps.assemble import HOLDOUT, assemble
from slate.steps.build_index import build_index
from slate.steps.ingest import ingest
from slate.steps.parent import RANKER_WEIGHTS, TOWER_WEIGHTS
from slate.steps.split import split
from slate.steps.split_since import split_since
from slate.steps.train_ranker import train_ranker
from slate.steps.train_two_tower import train_two_tower

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
UPDATED, FULL, STALE = "incremental", "full", "not updated"
MOST_TIME: Final = 0.15
MOST_LOSS: Final = 0.02


@dataclass(frozen=True)
class Model:
    """A trained release that is not sealed: its content, and what training took."""

    folder: Path
    seconds: float

    def recommender(self, sections: Mapping[str, Any], name: str) -> Recommender:
        return Recommender(self.folder / "content", sections, name)


@dataclass(frozen=True)
class World:
    """A prepared data set that is handed out day by day."""

    prepared: Prepared
    days: int
    share: float

    @classmethod
    def open(cls, folder: Path, days: int, share: float) -> "World":
        files = (columns.INTERACTIONS_FILE, columns.ITEMS_FILE, columns.USERS_FILE)
        return cls(Prepared(*(pq.read_table(folder / file) for file in files)), days, share)

    def until(self, day: int, out: Path) -> Path:
        """Write the data set as it stands at the end of a day; day 0 is before the first."""
        table = self.prepared.interactions
        rows = len(table)
        last = round(rows * (1 - self.share * (self.days - day)))
        times = table[columns.TIMESTAMP]
        known = table.filter(pc.less_equal(times, times[min(last, rows) - 1]))
        met = pc.is_in(self.prepared.items[columns.ITEM], known[columns.ITEM].unique())
        items = self.prepared.items.filter(met)
        users = self.prepared.users.filter(
            pc.is_in(self.prepared.users[columns.USER], known[columns.USER].unique())
        )
        write(Prepared(known, items, users), f"day {day}", Rows(rows, len(known), {}), {}, out)
        return out


def trained(config: SlateConfig, splits: Path, out: Path, parent: Path | None) -> Model:
    """Train the models on a splits folder, from a parent's weights where there is one, and assemble them."""
    sections = {name: config.section(name) for name in SlateConfig.model_fields}
    dataset = sections["dataset"]
    more: dict[str, Any] = {"incremental": sections["incremental"], "parent": parent} if parent else {}
    started = time.perf_counter()
    train_two_tower(sections["retrieval"], dataset, splits, out / "two_tower", None, **more)
    build_index(sections["index"], splits, out / "two_tower", out / "index")
    ranking = {**sections["ranking"], "explanations": 0}
    train_ranker(ranking, dataset, splits, out / "two_tower", out / "index", out / "ranker", **more)
    seconds = time.perf_counter() - started
    assemble(sections, splits, out / "two_tower", out / "index", out / "ranker", out / "content")
    return Model(out, seconds)


def as_parent(config: SlateConfig, model: Model, splits: Path, day: int, out: Path) -> Path:
    """The **parent** folder that :mod:`slate.steps.open_parent` would take from the model's release."""
    (out / "training").mkdir(parents=True)
    for name in (columns.ITEMS_FILE, columns.FEATURES_FILE, TOWER_WEIGHTS, RANKER_WEIGHTS):
        shutil.copy2(model.folder / "content" / name, out / name)
    record = json.loads((splits / columns.SPLIT_FILE).read_text(encoding="utf-8"))
    told = {
        "release_id": f"day-{day}",
        **{name: record[name] for name in ("train_end", "valid_end", "watermark")},
        **{name: config.section(name) for name in ("retrieval", "ranking")},
    }
    (out / columns.PARENT_FILE).write_text(json.dumps(told), encoding="utf-8")
    return out


def asked(
    config: SlateConfig, holdout: Holdout, models: Mapping[str, Recommender], first_day: Sequence[str]
) -> dict[str, Any]:
    """NDCG@10 of every model on the holdout's targets, and on those of items newer than the first day."""
    table = holdout.targets(config.dataset.target_events)
    ids = {item for model in models.values() for item in model.catalogue.ids.ids}
    items = IdMap.of(sorted(ids | set(table[columns.ITEM].to_pylist())))
    names = models[UPDATED].features.events
    targets = Targets.from_table(table, UserLog.from_table(holdout.history, items, names), items)
    counts = np.zeros(len(items), np.int64)
    own = models[UPDATED].catalogue
    counts[items.known_rows(own.ids.ids)] = own.table[TRAIN_COUNT].to_numpy()
    rankers = {
        name: funnel_ranker(model, asks_for(model, holdout, table), items) for name, model in models.items()
    }
    settings = config.evaluation.model_copy(update={"ks": (10,), "k": 10})

    def over(chosen: Targets) -> Any:
        found = measure(
            chosen, rankers, items, counts, settings, protocol="temporal", challenger=UPDATED
        ).record
        return {
            "targets": found.targets.evaluated,
            "users": found.targets.users,
            "ndcg_10": {name: ranker.metrics["ndcg@10"].value for name, ranker in found.rankers.items()},
            "difference": {name: shown(d) for name, d in found.overall.differences.items()},
        }

    new = ~np.isin(table[columns.ITEM].to_pylist(), list(first_day))
    fresh = np.flatnonzero(new & ~targets.repeats)
    return {**over(targets), "new_items": over(targets.take(fresh)) if len(fresh) else None}


def shown(difference: Difference) -> dict[str, float | None]:
    """The update less another model, with the 95% interval."""
    return {"value": difference.value, "low": difference.low, "high": difference.high}


def simulate(config: SlateConfig, world: World, root: Path) -> Iterator[dict[str, Any]]:
    """One record a day."""
    sections = {name: config.section(name) for name in SlateConfig.model_fields}
    data = world.until(0, root / "day0" / "dataset")
    splits = root / "day0" / "splits"
    split(sections["dataset"], sections["split"], data, splits)
    stale = trained(config, splits, root / "day0" / "model", None)
    print(f"day 0: trained in {stale.seconds:.0f} s", flush=True)
    first_day = pq.read_table(data / columns.ITEMS_FILE)[columns.ITEM].to_pylist()
    parent = as_parent(config, stale, splits, 0, root / "day0" / "parent")
    for day in range(1, world.days + 1):
        folder = root / f"day{day}"
        data = world.until(day, folder / "dataset")
        splits = folder / "splits"
        split_since(sections["dataset"], sections["split"], sections["incremental"], data, parent, splits)
        updated = trained(config, splits, folder / "updated", parent)
        full = trained(config, splits, folder / "full", None)
        models = {UPDATED: updated, FULL: full, STALE: stale}
        opened = {name: model.recommender(sections, name) for name, model in models.items()}
        holdout = Holdout.open(updated.folder / "content" / HOLDOUT)
        found = asked(config, holdout, opened, first_day)
        yield {
            "day": day,
            "items": len(opened[UPDATED].catalogue),
            "seconds": {UPDATED: updated.seconds, FULL: full.seconds},
            **found,
        }
        parent = as_parent(config, updated, splits, day, folder / "parent")
        for spent in (full.folder, root / f"day{day - 1}"):
            if spent != root / "day0":
                shutil.rmtree(spent)


def summary(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures that are aimed at, over all days."""
    ndcg = {name: float(np.mean([day["ndcg_10"][name] for day in days])) for name in (UPDATED, FULL, STALE)}
    seconds = {name: sum(day["seconds"][name] for day in days) for name in (UPDATED, FULL)}
    return {
        "ndcg_10": ndcg,
        "time_ratio": seconds[UPDATED] / seconds[FULL],
        "loss": 1 - ndcg[UPDATED] / ndcg[FULL],
        "days_better_than_not_updated": sum(day["ndcg_10"][UPDATED] > day["ndcg_10"][STALE] for day in days),
        "days": len(days),
        "new_item_targets": sum(day["new_items"]["targets"] for day in days if day["new_items"]),
    }


def markdown(days: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]) -> str:
    """The table people read."""
    lines = [
        "| day | targets | of new items | NDCG@10 incremental | full | not updated "
        "| seconds incremental | full |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for day in days:
        ndcg, seconds = day["ndcg_10"], day["seconds"]
        new = day["new_items"]["targets"] if day["new_items"] else 0
        lines.append(
            f"| {day['day']} | {day['targets']} | {new} | {ndcg[UPDATED]:.4f} | {ndcg[FULL]:.4f} | "
            f"{ndcg[STALE]:.4f} | {seconds[UPDATED]:.0f} | {seconds[FULL]:.0f} |"
        )
    lines += [
        "",
        f"Time: {whole['time_ratio']:.3f} of full retraining (aim: at most {MOST_TIME}). "
        f"NDCG@10 lost against it: {whole['loss']:+.1%} (aim: at most {MOST_LOSS:.0%}). "
        f"Better than not updated on {whole['days_better_than_not_updated']} of {whole['days']} days, "
        f"with {whole['new_item_targets']} targets on items that the first day did not know.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=ROOT / "conf" / "movielens.yaml")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.02, help="of all interactions that come in a day")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.set)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        ingest(config.section("dataset"), root / "dataset")
        days = []
        for day in simulate(config, World.open(root / "dataset", arguments.days, arguments.share), root):
            days.append(day)
            print(f"day {day['day']}: {day['ndcg_10']} {day['seconds']}", flush=True)
    whole = summary(days)
    text = markdown(days, whole)
    print(text)
    result = {
        "summary": whole,
        "days": days,
        "share": arguments.share,
        "set": arguments.set,
        "incremental": config.section("incremental"),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "versions": {n: version(n) for n in ("tensorflow", "tensorflow-recommenders", "numpy")},
        },
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "incremental.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (arguments.out / "incremental.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
