"""The training pipeline: from raw interactions to a sealed, gated release.

Wiring only; the steps are in ``slate.steps``, their shells in ``components``.
"""

from typing import Any

from kfp import dsl

from components.train_two_tower import train_two_tower
from pipelines.parts import (
    Given,
    Models,
    collected,
    cut,
    examined,
    indexed,
    ranked,
    recorded,
    released,
)
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
    log: str,
    events_fingerprint: str,
    code_fingerprint: str,
    run_id: str,
    checkpoints: str,
    cache: str,
    rollout_requested: bool,
) -> None:
    """One parameter a config section, since parameters cannot be subscripted inside a pipeline.

    ``champion`` is the release to beat, empty when there is none: an input, so that a cached evaluation
    is never reused against another champion. ``log`` is the store whose log of events joins the data
    set, empty where there is none; ``events_fingerprint`` stands for it in the cache key.
    ``code_fingerprint`` reaches every cached step, since a cache key knows the component but not the
    library that it calls. An empty ``run_id`` lets the run take the name that Kubeflow gives it, for
    schedules.
    """
    given = Given(
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
        tracking=tracking,
        store=store,
        champion=champion,
        data_fingerprint=data_fingerprint,
        log=log,
        events_fingerprint=events_fingerprint,
        code_fingerprint=code_fingerprint,
        run_id=run_id,
        cache=cache,
        rollout_requested=rollout_requested,
    )
    with dsl.ExitHandler(recorded(given), name="outcome"):
        data = examined(given, collected(given))
        splits = cut(given, data)
        tower = NEEDS["train_two_tower"].apply(
            train_two_tower(
                retrieval=retrieval,
                dataset_config=dataset,
                checkpoints=checkpoints,
                code_fingerprint=code_fingerprint,
                splits=splits,
            )
        )
        searchable = indexed(given, splits, tower.outputs["two_tower"])
        released(given, data, splits, Models(tower, searchable, ranked(given, splits, tower, searchable)))
