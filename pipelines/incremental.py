"""The incremental pipeline: the live release and what happened since, to a sealed, gated release.

Wiring only; the steps are in ``slate.steps``, their shells in ``components``.
"""

from typing import Any

from kfp import dsl

from components.open_parent import open_parent
from components.split_since import split_since
from components.update_ranker import update_ranker
from components.update_two_tower import update_two_tower
from pipelines.parts import Given, Models, collected, examined, indexed, recorded, released
from pipelines.resources import NEEDS


@dsl.pipeline(name="incremental", description="Bring the live release up to date, gate and seal it.")
def incremental(
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
    incremental: dict[str, Any],
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
    """Parameters as of :func:`pipelines.training.training`, and ``incremental``, the section of that name.

    ``champion`` is the release to start from and to beat at once, and there must be one.
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
        incremental=incremental,
    )
    with dsl.ExitHandler(recorded(given), name="outcome"):
        data = examined(given, collected(given))
        # What stops the run is known before anything is trained; nothing of the comparison is read.
        opened = (
            NEEDS["open_parent"]
            .apply(
                open_parent(
                    store=store,
                    champion=champion,
                    dataset_config=dataset,
                    code_fingerprint=code_fingerprint,
                )
            )
            .after(data.compared)
        )
        parent = opened.outputs["parent"]
        splits = (
            NEEDS["split_since"]
            .apply(
                split_since(
                    dataset_config=dataset,
                    split_config=split,
                    incremental=incremental,
                    code_fingerprint=code_fingerprint,
                    dataset=data.validated.outputs["validated"],
                    parent=parent,
                )
            )
            .outputs["splits"]
        )
        tower = NEEDS["update_two_tower"].apply(
            update_two_tower(
                retrieval=retrieval,
                incremental=incremental,
                dataset_config=dataset,
                checkpoints=checkpoints,
                code_fingerprint=code_fingerprint,
                splits=splits,
                parent=parent,
            )
        )
        searchable = indexed(given, splits, tower.outputs["two_tower"])
        ranked = NEEDS["update_ranker"].apply(
            update_ranker(
                ranking=ranking,
                incremental=incremental,
                dataset_config=dataset,
                code_fingerprint=code_fingerprint,
                splits=splits,
                two_tower=tower.outputs["two_tower"],
                index=searchable.outputs["index"],
                parent=parent,
            )
        )
        released(given, data, splits, Models(tower, searchable, ranked))
