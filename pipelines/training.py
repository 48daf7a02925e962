"""The training pipeline: from raw interactions to a sealed, gated release.

Wiring only; the steps are in ``slate.steps``, their shells in ``components``.
"""

from typing import Any

from kfp import dsl

from components.build_index import build_index
from components.drift import drift as compare_snapshots
from components.evaluate import evaluate
from components.gate import gate as decide
from components.ingest import ingest
from components.open_run import open_run
from components.push_release import push_release
from components.record_outcome import record_outcome
from components.register_release import register_release
from components.split import split as cut
from components.start_rollout import start_rollout
from components.track import track
from components.train_ranker import train_ranker
from components.train_two_tower import train_two_tower
from components.validate import validate
from pipelines.resources import NEEDS


@dsl.pipeline(name="training", description="Train, evaluate, gate and seal a recommender release.")
def training(
    dataset: dict[str, Any],
    split: dict[str, Any],
    retrieval: dict[str, Any],
    index: dict[str, Any],
    ranking: dict[str, Any],
    evaluation: dict[str, Any],
    gate: dict[str, Any],
    recommend: dict[str, Any],
    rollout: dict[str, Any],
    drift: dict[str, Any],
    tracking: dict[str, Any],
    store: str,
    champion: str,
    data_fingerprint: str,
    code_fingerprint: str,
    run_id: str,
    checkpoints: str,
    cache: str,
    rollout_requested: bool,
) -> None:
    """One parameter a config section, since parameters cannot be subscripted inside a pipeline.

    ``champion`` is the release to beat, empty when there is none: an input, so that a cached evaluation
    is never reused against another champion. ``code_fingerprint`` reaches every cached step, since a
    cache key knows the component but not the library that it calls. An empty ``run_id`` lets the
    run take the name that Kubeflow gives it, for schedules.
    """
    job = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    recorded = NEEDS["record_outcome"].apply(
        record_outcome(store=store, run_id=run_id, job=job, tracking=tracking)
    )
    with dsl.ExitHandler(recorded, name="outcome"):
        opened = NEEDS["open_run"].apply(
            open_run(
                tracking=tracking,
                run_id=run_id,
                job=job,
                dataset=dataset,
                split=split,
                retrieval=retrieval,
                index=index,
                ranking=ranking,
                evaluation=evaluation,
                gate=gate,
                recommend=recommend,
                rollout=rollout,
                drift=drift,
                data_fingerprint=data_fingerprint,
                code_fingerprint=code_fingerprint,
                store=store,
            )
        )
        # It waits for the run to be visible, and reads nothing of it: unrecorded is as good.
        ingested = (
            NEEDS["ingest"]
            .apply(
                ingest(
                    dataset_config=dataset,
                    cache=cache,
                    data_fingerprint=data_fingerprint,
                    code_fingerprint=code_fingerprint,
                )
            )
            .after(opened)
        )
        validated = NEEDS["validate"].apply(
            validate(
                dataset_config=dataset,
                code_fingerprint=code_fingerprint,
                dataset=ingested.outputs["dataset"],
            )
        )
        compared = NEEDS["drift"].apply(
            compare_snapshots(
                drift_config=drift,
                dataset_config=dataset,
                store=store,
                champion=champion,
                code_fingerprint=code_fingerprint,
                dataset=validated.outputs["validated"],
            )
        )
        # Split waits for the comparison but reads nothing of it: an error stops the run, and another
        # champion changes no cache key.
        split_up = (
            NEEDS["split"]
            .apply(
                cut(
                    dataset_config=dataset,
                    split_config=split,
                    code_fingerprint=code_fingerprint,
                    dataset=validated.outputs["validated"],
                )
            )
            .after(compared)
        )
        tower = NEEDS["train_two_tower"].apply(
            train_two_tower(
                retrieval=retrieval,
                dataset_config=dataset,
                checkpoints=checkpoints,
                code_fingerprint=code_fingerprint,
                splits=split_up.outputs["splits"],
            )
        )
        indexed = NEEDS["build_index"].apply(
            build_index(
                index_config=index,
                code_fingerprint=code_fingerprint,
                splits=split_up.outputs["splits"],
                two_tower=tower.outputs["two_tower"],
            )
        )
        ranked = NEEDS["train_ranker"].apply(
            train_ranker(
                ranking=ranking,
                dataset_config=dataset,
                code_fingerprint=code_fingerprint,
                splits=split_up.outputs["splits"],
                two_tower=tower.outputs["two_tower"],
                index=indexed.outputs["index"],
            )
        )
        evaluated = NEEDS["evaluate"].apply(
            evaluate(
                dataset_config=dataset,
                split_config=split,
                retrieval=retrieval,
                index_config=index,
                ranking=ranking,
                evaluation_config=evaluation,
                gate_config=gate,
                recommend=recommend,
                rollout=rollout,
                store=store,
                champion=champion,
                code_fingerprint=code_fingerprint,
                splits=split_up.outputs["splits"],
                dataset=validated.outputs["validated"],
                two_tower=tower.outputs["two_tower"],
                index=indexed.outputs["index"],
                ranker=ranked.outputs["ranker"],
            )
        )
        decided = NEEDS["gate"].apply(
            decide(
                gate_config=gate,
                evaluation=evaluated.outputs["evaluation"],
                candidate=evaluated.outputs["candidate"],
            )
        )
        tracked = NEEDS["track"].apply(
            track(
                tracking=tracking,
                run_id=run_id,
                job=job,
                dataset=validated.outputs["validated"],
                two_tower=tower.outputs["two_tower"],
                ranker=ranked.outputs["ranker"],
                evaluation=evaluated.outputs["evaluation"],
                verdict=decided.outputs["verdict"],
                validation_report=validated.outputs["report"],
                drift_report=compared.outputs["report"],
                evaluation_report=evaluated.outputs["report"],
            )
        )
        with dsl.If(decided.outputs["Output"] == "passed", name="passed"):
            pushed = NEEDS["push_release"].apply(
                push_release(
                    store=store,
                    code_revision=code_fingerprint,
                    candidate=evaluated.outputs["candidate"],
                    verdict=decided.outputs["verdict"],
                )
            )
            registered = (
                NEEDS["register_release"]
                .apply(
                    register_release(
                        tracking=tracking, run_id=run_id, job=job, store=store, release_id=pushed.output
                    )
                )
                .after(tracked)
            )
            with dsl.If(rollout_requested == True, name="asked"):  # noqa: E712 - builds an expression
                NEEDS["start_rollout"].apply(
                    start_rollout(store=store, rollout=rollout, release_id=pushed.output)
                ).after(registered)
