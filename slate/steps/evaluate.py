"""Pipeline step: assemble the release, measure it as it would serve, write the report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from slate import columns
from slate.config import DatasetConfig, EvaluationConfig, GateConfig, parse_section
from slate.data.holdout import Split
from slate.errors import ModelError
from slate.evaluation.compare import compare
from slate.evaluation.gate import GateInputs, decide
from slate.evaluation.holdout import Holdout
from slate.evaluation.parity import parity_gap
from slate.evaluation.record import FUNNEL, Evaluation
from slate.evaluation.report import render
from slate.recommend.golden import golden_requests
from slate.recommend.recommender import INDEX, QUERY_TOWER, RANKER, Recommender
from slate.release.resolve import open_verified
from slate.retrieval.index import ExactIndex
from slate.retrieval.index.files import INDEX_FILE
from slate.steps.assemble import CONTENT, DRAFT, HOLDOUT, REPORTS, assemble, content_hash
from slate.steps.report import report_inputs
from slate.storage import open_store

FACTS: Final = "facts.json"
UNSEALED: Final = "unsealed"


def evaluate(
    config: Mapping[str, Any],
    splits: Path,
    dataset: Path,
    two_tower: Path,
    index: Path,
    ranker: Path,
    store: str,
    champion: str,
    candidate: Path,
    out: Path,
    report: Path,
) -> dict[str, Any]:
    """Write the candidate folder (content and draft of its manifest), the evaluation and the report.

    Args:
        config: section name to section.
        champion: the release to beat, or the empty string.

    Returns:
        headline metrics.
    """
    split = Split.open(splits)
    _check_same_split(split, {"two_tower": two_tower, "ranker": ranker})
    content = candidate / CONTENT
    assemble(config, splits, two_tower, index, ranker, content)
    challenger = Recommender(content, config, UNSEALED)
    holdout = Holdout.open(content / HOLDOUT)
    dataset_config = parse_section(DatasetConfig, config["dataset"])
    evaluation_config = parse_section(EvaluationConfig, config["evaluation"])
    opened = open_champion(store, champion)
    evaluation = compare(
        challenger,
        holdout,
        evaluation_config,
        events=dataset_config.target_events,
        sensitive=dataset_config.sensitive_attributes,
        train=split.part("train"),
        champion=opened.recommender if opened else None,
    )
    out.mkdir(parents=True, exist_ok=True)
    evaluation.save(out)
    facts: dict[str, Any] = {
        "first_release": opened is None,
        "challenger": {
            "content": content_hash(content, config),
            **{name: split.record[name] for name in ("train_end", "valid_end", "watermark")},
        },
        "champion": opened.facts if opened else None,
        "attributes": dataset_config.sensitive_attributes,
        "index": measured_index(challenger, two_tower / columns.PARITY_FILE, content / INDEX),
        "parity": {
            "retrieval": parity_gap(
                content / QUERY_TOWER, "serving_default", two_tower / columns.PARITY_FILE
            ),
            "ranking": parity_gap(content / RANKER, "score", ranker / columns.PARITY_FILE),
        },
    }
    (out / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    inputs = gate_inputs(evaluation.record.to_json(), json.dumps(facts))
    page = render(
        report_inputs(
            f"{dataset_config.name}: {split.protocol.replace('_', ' ')}",
            config,
            challenger,
            holdout,
            evaluation,
            decide(inputs, parse_section(GateConfig, config["gate"])),
            {"dataset": dataset, "splits": splits, "two_tower": two_tower, "index": index, "ranker": ranker},
        )
    )
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(page, encoding="utf-8")
    (content / REPORTS).mkdir()
    (content / REPORTS / "evaluation.html").write_text(page, encoding="utf-8")
    draft = _draft(config, challenger, evaluation, split, dataset, champion, facts["index"])
    (candidate / DRAFT).write_text(json.dumps(draft, indent=1, ensure_ascii=False), encoding="utf-8")
    return _headline(evaluation)


def _check_same_split(split: Split, models: Mapping[str, Path]) -> None:
    """Refuse to measure a model on a holdout that its own training may have seen."""
    for name, folder in models.items():
        record = json.loads((folder / columns.TRAINING_FILE).read_text(encoding="utf-8"))
        if record.get("split_fingerprint") != split.fingerprint:
            raise ModelError(
                f"{name} {folder}: was trained on another split ({record.get('split_fingerprint')}) than "
                f"{split.directory} ({split.fingerprint}); train it again on this one"
            )


def gate_inputs(evaluation: str, facts: str) -> GateInputs:
    """What the gate decides on, from the JSON of the evaluation and of the facts beside it."""
    return GateInputs(evaluation=_object(evaluation), **_object(facts))


def _object(text: str) -> dict[str, Any]:
    """A JSON object, empty where the text is none: the gate refuses on what is missing."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Champion:
    """The live release, opened, and what the gate must know of it."""

    recommender: Recommender
    facts: Mapping[str, str]


def open_champion(store: str, release_id: str) -> Champion | None:
    """The champion of a store, verified, or None where there is none."""
    if not release_id:
        return None
    opened = open_verified(release_id, open_store(store))
    return Champion(
        Recommender(opened.path, opened.manifest.config, release_id),
        {
            "content": content_hash(opened.path, opened.manifest.config),
            "train_end": opened.manifest.dataset.train_end,
            "valid_end": opened.manifest.dataset.valid_end,
        },
    )


def measured_index(recommender: Recommender, sample: Path, index: Path) -> dict[str, Any]:
    """What ``index.json`` says, with the recall measured again on the index as it will be served."""
    described: dict[str, Any] = json.loads((index / INDEX_FILE).read_text(encoding="utf-8"))
    with np.load(sample) as stored:
        queries = stored["embedding"].astype(np.float32)
    k = min(int(described["k"]), recommender.index.size)
    exact = ExactIndex(np.asarray(recommender.embeddings), recommender.catalogue.ids.ids).search(queries, k)
    found = recommender.index.search(queries, k)
    hits = [np.isin(found.row(i)[0], exact.row(i)[0]).sum() / k for i in range(len(queries))]
    return {**described, "recall": float(np.mean(hits))}


def _draft(
    config: Mapping[str, Any],
    challenger: Recommender,
    evaluation: Evaluation,
    split: Split,
    dataset: Path,
    champion: str,
    index: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest's fields that are known before the verdict."""
    described = json.loads((dataset / columns.DATASET_FILE).read_text(encoding="utf-8"))
    events = parse_section(DatasetConfig, config["dataset"]).events
    summary = evaluation.summary()
    return {
        "parent": champion or None,
        "dataset": {
            "fingerprint": described["fingerprint"],
            "rows": described["rows"]["kept"],
            **{name: split.record[name] for name in ("train_end", "valid_end", "watermark")},
        },
        "config": dict(config),
        "events": {
            name: event.model_dump(include={"weight", "weight_by"}, exclude_none=True)
            for name, event in events.items()
        },
        "metrics": summary[FUNNEL],
        "baselines": {name: values for name, values in summary.items() if name != FUNNEL},
        "index": {name: index[name] for name in ("kind", "dim", "size", "k", "recall")},
        "golden": golden_requests(challenger, split.record["watermark"]),
    }


def _headline(evaluation: Evaluation) -> dict[str, Any]:
    """Plain numbers for the metrics view: every ranker's decision metric, and the funnel's others."""
    summary = evaluation.summary()
    metric = evaluation.record.metric
    flat = {f"{ranker}_{metric}": values[metric] for ranker, values in summary.items()}
    return flat | {f"{FUNNEL}_{name}": value for name, value in summary[FUNNEL].items()}
