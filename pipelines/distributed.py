"""The training pipeline with its towers trained by several pods of the cluster together.

Wiring only; everything but the training of the towers is as in ``pipelines.training``.
"""

from typing import Any

from kfp import dsl

from components.train_on_workers import train_on_workers
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


@dsl.pipeline(name="distributed", description="Train on several workers, evaluate, gate and seal a release.")
def distributed(
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
    workers: dict[str, Any],
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
    """Parameters as of :func:`pipelines.training.training`, and ``workers``, the section of that name.

    ``checkpoints`` must be an address that the workers reach, since their work travels by it.
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
        tower = NEEDS["train_on_workers"].apply(
            train_on_workers(
                workers=workers,
                retrieval=retrieval,
                dataset_config=dataset,
                checkpoints=checkpoints,
                code_fingerprint=code_fingerprint,
                splits=splits,
            )
        )
        searchable = indexed(given, splits, tower.outputs["two_tower"])
        released(given, data, splits, Models(tower, searchable, ranked(given, splits, tower, searchable)))
