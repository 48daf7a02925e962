"""Measure the challenger beside the baselines and the champion."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def evaluate(
    dataset_config: dict[str, Any],
    split_config: dict[str, Any],
    retrieval: dict[str, Any],
    index_config: dict[str, Any],
    ranking: dict[str, Any],
    evaluation_config: dict[str, Any],
    gate_config: dict[str, Any],
    recommend: dict[str, Any],
    rollout: dict[str, Any],
    incremental: dict[str, Any],
    store: str,
    champion: str,
    code_fingerprint: str,
    splits: dsl.Input[dsl.Dataset],
    dataset: dsl.Input[dsl.Dataset],
    two_tower: dsl.Input[dsl.Model],
    index: dsl.Input[dsl.Model],
    ranker: dsl.Input[dsl.Model],
    candidate: dsl.Output[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """An unsealed release, its measurements and the report. No champion is the empty string.

    ``incremental`` is empty in a full training.
    """
    import json
    from pathlib import Path

    from slate.steps.evaluate import evaluate

    print(f"code {code_fingerprint}")
    sections = {
        "dataset": dataset_config,
        "split": split_config,
        "retrieval": retrieval,
        "index": index_config,
        "ranking": ranking,
        "evaluation": evaluation_config,
        "gate": gate_config,
        "recommend": recommend,
        "rollout": rollout,
        "incremental": incremental,
    }
    values = evaluate(
        sections,
        Path(splits.path),
        Path(dataset.path),
        Path(two_tower.path),
        Path(index.path),
        Path(ranker.path),
        store,
        champion,
        Path(candidate.path),
        Path(evaluation.path),
        Path(report.path),
    )
    metrics.metadata.update(values)
    Path(metrics.path).write_text(json.dumps(values), encoding="utf-8")
