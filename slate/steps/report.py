"""Collect what the evaluate step and the steps before it wrote, for the report."""

import platform
from typing import Final

import pyarrow.parquet as pq

from slate import columns
from slate.clock import SystemClock, isoformat
from slate.evaluation.holdout import Holdout, asks_for
from slate.evaluation.record import Evaluation
from slate.evaluation.report_inputs import ReportInputs, SampleSlate
from slate.recommend.recommender import Recommender
from slate.release.verdict import Verdict
from slate.release.verify import installed_versions
from slate.retrieval.index.files import INDEX_FILE
from slate.steps.trained import Run

_SLATES: Final = 6
_HISTORY_SHOWN: Final = 8
_WANTED_SHOWN: Final = 8


def report_inputs(
    run: Run, recommender: Recommender, holdout: Holdout, evaluation: Evaluation, verdict: Verdict
) -> ReportInputs:
    """Everything the report shows."""
    split = run.split.record
    versions = {name: version or "not installed" for name, version in installed_versions().items()}
    return ReportInputs(
        title=f"{run.dataset.name}: {run.split.protocol.replace('_', ' ')}",
        generated_at=isoformat(SystemClock().now()),
        verdict=verdict,
        gate=run.gate,
        evaluation=evaluation,
        dataset=run.read("dataset", columns.DATASET_FILE),
        split=split,
        interactions=pq.read_table(run.folders["dataset"] / columns.INTERACTIONS_FILE),
        two_tower=run.read("two_tower", columns.TRAINING_FILE),
        ranker=run.read("ranker", columns.TRAINING_FILE),
        ranker_metrics=run.read("ranker", columns.METRICS_FILE),
        explanations=run.explanations,
        index=run.read("index", INDEX_FILE),
        slates=sample_slates(recommender, holdout),
        config=run.config,
        provenance={
            **versions,
            "python": platform.python_version(),
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
