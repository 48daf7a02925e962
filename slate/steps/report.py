"""Collect what the evaluate step and the steps before it wrote, for the report."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from slate import __version__, columns
from slate.clock import SystemClock, isoformat
from slate.evaluation.holdout import Holdout, asks_for
from slate.evaluation.record import Evaluation
from slate.evaluation.report import ReportInputs, SampleSlate
from slate.recommend.recommender import Recommender
from slate.release.verdict import Verdict
from slate.release.verify import installed_versions
from slate.retrieval.index.files import INDEX_FILE

_SLATES: Final = 6
_HISTORY_SHOWN: Final = 8
_WANTED_SHOWN: Final = 8


def report_inputs(
    title: str,
    config: Mapping[str, Any],
    recommender: Recommender,
    holdout: Holdout,
    evaluation: Evaluation,
    verdict: Verdict,
    folders: Mapping[str, Path],
) -> ReportInputs:
    """Everything the report shows.

    Args:
        folders: the artefact folders ``dataset``, ``splits``, ``two_tower``, ``index`` and ``ranker``.
    """

    def read(folder: str, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((folders[folder] / name).read_text(encoding="utf-8"))
        return loaded

    split = read("splits", columns.SPLIT_FILE)
    versions = {name: version or "not installed" for name, version in installed_versions().items()}
    return ReportInputs(
        title=title,
        generated_at=isoformat(SystemClock().now()),
        verdict=verdict,
        evaluation=evaluation,
        dataset=read("dataset", columns.DATASET_FILE),
        split=split,
        interactions=pq.read_table(folders["dataset"] / columns.INTERACTIONS_FILE),
        two_tower=read("two_tower", columns.TRAINING_FILE),
        ranker=read("ranker", columns.TRAINING_FILE),
        ranker_metrics=read("ranker", columns.METRICS_FILE),
        index=read("index", INDEX_FILE),
        slates=sample_slates(recommender, holdout),
        config=config,
        provenance={
            "Slate": __version__,
            **versions,
            "Python": platform.python_version(),
            "data": split["dataset_fingerprint"],
            "split": split["fingerprint"],
        },
    )


def sample_slates(recommender: Recommender, holdout: Holdout) -> list[SampleSlate]:
    """Slates of a few holdout users with different histories, as of their first target."""
    table = holdout.targets(recommender.features.events)
    users = table[columns.USER].to_pylist()
    items = table[columns.ITEM].to_pylist()
    first = {user: row for row, user in reversed(list(enumerate(users)))}
    wanted: dict[str, list[str]] = {}
    for user, item in zip(users, items, strict=True):
        wanted.setdefault(user, []).append(item)
    rows = sorted(first.values())
    asks = asks_for(recommender, holdout, table.take(rows))
    by_length = sorted(range(len(rows)), key=lambda at: (len(asks[at].query.history.items), rows[at]))
    step = max(1, (len(by_length) - 1) // max(_SLATES - 1, 1))
    chosen = by_length[::step][:_SLATES]
    titles = recommender.catalogue.titles
    ids = recommender.catalogue.ids.ids
    samples = []
    for at, ranked in zip(chosen, recommender.rank([asks[at] for at in chosen]), strict=True):
        user = users[rows[at]]
        past = asks[at].query.history.items
        samples.append(
            SampleSlate(
                user=user,
                history=[titles[ids[i]] for i in past[-_HISTORY_SHOWN:]],
                recommended=[titles[ids[i]] for i in ranked.rows[: recommender.config.k]],
                wanted=[titles.get(item, item) for item in wanted[user][:_WANTED_SHOWN]],
                note=f"{len(past)} interactions before, {len(wanted[user])} in the holdout",
            )
        )
    return samples
