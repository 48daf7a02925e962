"""The wiring that the pipelines which make a release have in common.

These functions run while a pipeline function is compiled, and add tasks to it.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kfp import dsl

from components.build_index import build_index
from components.collect import collect
from components.drift import drift as compare_snapshots
from components.evaluate import evaluate
from components.gate import gate as decide
from components.ingest import ingest
from components.open_run import open_run
from components.push_release import push_release
from components.record_outcome import record_outcome
from components.register_release import register_release
from components.split import split
from components.start_rollout import start_rollout
from components.track import track
from components.train_ranker import train_ranker
from components.validate import validate
from pipelines.resources import NEEDS


@dataclass(frozen=True)
class Given:
    """The parameters that all of them have; see :func:`pipelines.training.training`.

    ``incremental`` is empty where the pipeline has no such section.
    """

    dataset: Any
    split: Any
    retrieval: Any
    index: Any
    ranking: Any
    evaluation: Any
    gate: Any
    recommend: Any
    rollout: Any
    drift: Any
    tracking: Any
    store: Any
    champion: Any
    data_fingerprint: Any
    log: Any
    events_fingerprint: Any
    code_fingerprint: Any
    run_id: Any
    cache: Any
    rollout_requested: Any
    incremental: Any = field(default_factory=dict)
    job: Any = dsl.PIPELINE_JOB_ID_PLACEHOLDER


class Examined(NamedTuple):
    """The tasks that validated the data, and compared it with the live release's."""

    validated: Any
    compared: Any


class Models(NamedTuple):
    """The tasks that trained the models."""

    tower: Any
    indexed: Any
    ranked: Any


def recorded(given: Given) -> Any:
    """The exit handler: what became of the run, whatever happens."""
    return NEEDS["record_outcome"].apply(
        record_outcome(store=given.store, run_id=given.run_id, job=given.job, tracking=given.tracking)
    )


def ingested(given: Given) -> Any:
    """Make the run visible, then prepare the data set."""
    opened = NEEDS["open_run"].apply(
        open_run(
            tracking=given.tracking,
            run_id=given.run_id,
            job=given.job,
            dataset=given.dataset,
            split=given.split,
            retrieval=given.retrieval,
            index=given.index,
            ranking=given.ranking,
            evaluation=given.evaluation,
            gate=given.gate,
            recommend=given.recommend,
            rollout=given.rollout,
            drift=given.drift,
            data_fingerprint=given.data_fingerprint,
            code_fingerprint=given.code_fingerprint,
            store=given.store,
            incremental=given.incremental,
        )
    )
    # It waits for the run to be visible, and reads nothing of it: unrecorded is as good.
    return (
        NEEDS["ingest"]
        .apply(
            ingest(
                dataset_config=given.dataset,
                cache=given.cache,
                data_fingerprint=given.data_fingerprint,
                code_fingerprint=given.code_fingerprint,
            )
        )
        .after(opened)
    )


def collected(given: Given) -> Any:
    """The prepared data set with the events of the log."""
    return (
        NEEDS["collect"]
        .apply(
            collect(
                dataset_config=given.dataset,
                log=given.log,
                events_fingerprint=given.events_fingerprint,
                code_fingerprint=given.code_fingerprint,
                dataset=ingested(given).outputs["dataset"],
            )
        )
        .outputs["collected"]
    )


def examined(given: Given, dataset: Any) -> Examined:
    """Validate a prepared data set, and compare it with the live release's."""
    validated = NEEDS["validate"].apply(
        validate(
            dataset_config=given.dataset,
            code_fingerprint=given.code_fingerprint,
            dataset=dataset,
        )
    )
    compared = NEEDS["drift"].apply(
        compare_snapshots(
            drift_config=given.drift,
            dataset_config=given.dataset,
            store=given.store,
            champion=given.champion,
            code_fingerprint=given.code_fingerprint,
            dataset=validated.outputs["validated"],
        )
    )
    return Examined(validated, compared)


def cut(given: Given, data: Examined) -> Any:
    """The splits of a data set, for a training from nothing.

    It waits for the comparison but reads nothing of it: an error stops the run, and another champion changes
    no cache key.
    """
    return (
        NEEDS["split"]
        .apply(
            split(
                dataset_config=given.dataset,
                split_config=given.split,
                code_fingerprint=given.code_fingerprint,
                dataset=data.validated.outputs["validated"],
            )
        )
        .after(data.compared)
        .outputs["splits"]
    )


def ranked(given: Given, splits: Any, tower: Any, searchable: Any) -> Any:
    """Train the ranker from nothing, on what the index brings."""
    return NEEDS["train_ranker"].apply(
        train_ranker(
            ranking=given.ranking,
            dataset_config=given.dataset,
            code_fingerprint=given.code_fingerprint,
            splits=splits,
            two_tower=tower.outputs["two_tower"],
            index=searchable.outputs["index"],
        )
    )


def indexed(given: Given, splits: Any, two_tower: Any) -> Any:
    """Make the candidate embeddings searchable."""
    return NEEDS["build_index"].apply(
        build_index(
            index_config=given.index,
            code_fingerprint=given.code_fingerprint,
            splits=splits,
            two_tower=two_tower,
        )
    )


def released(given: Given, data: Examined, splits: Any, models: Models) -> None:
    """Evaluate, decide, record; and where it passed, push, register and start a rollout if asked."""
    validated = data.validated
    evaluated = NEEDS["evaluate"].apply(
        evaluate(
            dataset_config=given.dataset,
            split_config=given.split,
            retrieval=given.retrieval,
            index_config=given.index,
            ranking=given.ranking,
            evaluation_config=given.evaluation,
            gate_config=given.gate,
            recommend=given.recommend,
            rollout=given.rollout,
            incremental=given.incremental,
            store=given.store,
            champion=given.champion,
            code_fingerprint=given.code_fingerprint,
            splits=splits,
            dataset=validated.outputs["validated"],
            two_tower=models.tower.outputs["two_tower"],
            index=models.indexed.outputs["index"],
            ranker=models.ranked.outputs["ranker"],
        )
    )
    decided = NEEDS["gate"].apply(
        decide(
            gate_config=given.gate,
            evaluation=evaluated.outputs["evaluation"],
            candidate=evaluated.outputs["candidate"],
        )
    )
    tracked = NEEDS["track"].apply(
        track(
            tracking=given.tracking,
            run_id=given.run_id,
            job=given.job,
            dataset=validated.outputs["validated"],
            two_tower=models.tower.outputs["two_tower"],
            ranker=models.ranked.outputs["ranker"],
            evaluation=evaluated.outputs["evaluation"],
            verdict=decided.outputs["verdict"],
            validation_report=validated.outputs["report"],
            drift_report=data.compared.outputs["report"],
            evaluation_report=evaluated.outputs["report"],
        )
    )
    with dsl.If(decided.outputs["Output"] == "passed", name="passed"):
        pushed = NEEDS["push_release"].apply(
            push_release(
                store=given.store,
                code_revision=given.code_fingerprint,
                candidate=evaluated.outputs["candidate"],
                verdict=decided.outputs["verdict"],
            )
        )
        registered = (
            NEEDS["register_release"]
            .apply(
                register_release(
                    tracking=given.tracking,
                    run_id=given.run_id,
                    job=given.job,
                    store=given.store,
                    release_id=pushed.output,
                )
            )
            .after(tracked)
        )
        with dsl.If(given.rollout_requested == True, name="asked"):  # noqa: E712 - builds an expression
            NEEDS["start_rollout"].apply(
                start_rollout(store=given.store, rollout=given.rollout, release_id=pushed.output)
            ).after(registered)
