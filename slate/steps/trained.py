"""What one run trained: its folders and configuration, the evidence the gate needs, the manifest's draft."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from slate import columns
from slate.config import DatasetConfig, EvaluationConfig, GateConfig, SplitConfig, parse_section
from slate.data.holdout import Split
from slate.errors import ModelError
from slate.evaluation.forgetting import measure_forgetting
from slate.evaluation.parity import parity_gap, saved_model
from slate.evaluation.record import FUNNEL, Evaluation
from slate.ranking.explain.record import Explanations
from slate.ranking.scorer import OUTPUTS, SIGNATURE
from slate.recommend.golden import golden_requests
from slate.recommend.recommender import INDEX, QUERY_TOWER, RANKER, Recommender
from slate.retrieval.index import ExactIndex
from slate.retrieval.index.build import recall
from slate.retrieval.index.files import INDEX_FILE
from slate.retrieval.query import EMBEDDING, TOWER_SIGNATURE
from slate.steps.assemble import content_hash

_INSTANTS = ("train_end", "valid_end", "watermark")


@dataclass(frozen=True)
class Run:
    """A training run.

    ``config`` maps section names to sections; ``folders`` holds the artefacts ``dataset``, ``splits``,
    ``two_tower``, ``index`` and ``ranker``.
    """

    config: Mapping[str, Any]
    folders: Mapping[str, Path]

    @cached_property
    def split(self) -> Split:
        return Split.open(self.folders["splits"])

    @cached_property
    def dataset(self) -> DatasetConfig:
        return parse_section(DatasetConfig, self.config["dataset"])

    @cached_property
    def evaluation(self) -> EvaluationConfig:
        return parse_section(EvaluationConfig, self.config["evaluation"])

    @cached_property
    def gate(self) -> GateConfig:
        return parse_section(GateConfig, self.config["gate"])

    def read(self, folder: str, name: str) -> dict[str, Any]:
        """A JSON file of an artefact."""
        loaded: dict[str, Any] = json.loads((self.folders[folder] / name).read_text(encoding="utf-8"))
        return loaded

    @cached_property
    def explanations(self) -> Explanations | None:
        """What the ranker looks at, None where that was not asked for."""
        path = self.folders["ranker"] / columns.EXPLANATIONS_FILE
        return Explanations.from_json(path.read_text(encoding="utf-8")) if path.is_file() else None

    def check_same_split(self) -> None:
        """Refuse to measure a model on a holdout that its own training may have seen.

        Raises:
            ModelError: a model was trained on another split.
        """
        for name in ("two_tower", "ranker"):
            trained_on = self.read(name, columns.TRAINING_FILE).get("split_fingerprint")
            if trained_on != self.split.fingerprint:
                raise ModelError(
                    f"{name} {self.folders[name]}: was trained on another split ({trained_on}) than "
                    f"{self.split.directory} ({self.split.fingerprint}); train it again on this one"
                )

    def facts(
        self, content: Path, champion: Mapping[str, str] | None, models: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the gate needs besides the evaluation; ``models`` holds index and parity."""
        return {
            "first_release": champion is None,
            "challenger": {
                "content": content_hash(content, self.config),
                **{name: self.split.record[name] for name in _INSTANTS},
            },
            "champion": champion,
            "attributes": self.dataset.sensitive_attributes,
            "item_attributes": self.dataset.sensitive_item_attributes,
            "index": models["index"],
            "parity": models["parity"],
        }

    def model_facts(self, challenger: Recommender, content: Path) -> dict[str, Any]:
        """The index's recall and both models' parity, measured on the content that would be served."""
        opened = challenger.opened
        tower = (opened.encoder.answer, saved_model(content / QUERY_TOWER, TOWER_SIGNATURE))
        ranker = (opened.ranker.answer, saved_model(content / RANKER, SIGNATURE))
        samples = {name: self.folders[name] / columns.PARITY_FILE for name in ("two_tower", "ranker")}
        return {
            "index": measured_index(challenger, samples["two_tower"], content / INDEX),
            "parity": {
                "retrieval": max(parity_gap(each, (EMBEDDING,), samples["two_tower"]) for each in tower),
                "ranking": max(parity_gap(each, OUTPUTS, samples["ranker"]) for each in ranker),
            },
        }

    def forgetting(self, challenger: Recommender | None, parent: Recommender | None) -> dict[str, Any]:
        """For the gate: the parent that this run started from, and what was forgotten of what it knew.

        Both are None where the run started from nothing; the latter too where no share of users is kept out
        of training. A share too small for anybody to be in it has no targets.

        Raises:
            ModelError: the run started from another release than the champion.
        """
        started = self.split.record.get("parent")
        if started is None:
            return {"parent": None, "forgetting": None}
        found = None
        if challenger is not None and parent is not None:
            if parent.release_id != started["release_id"]:
                raise ModelError(
                    f"incremental: the run started from release {started['release_id']}, but the champion is "
                    f"{parent.release_id}; run again from the live release"
                )
            found = measure_forgetting(
                challenger,
                parent,
                self.split,
                started["train_end"],
                self.evaluation,
                self.dataset.target_events,
            )
            kept_out = parse_section(SplitConfig, self.config["split"]).unseen_users > 0
            if found is None and kept_out:
                return {
                    "parent": parent.release_id,
                    "forgetting": {"parent": parent.release_id, "targets": 0},
                }
        return {"parent": started["release_id"], "forgetting": found.to_dict() if found else None}

    def draft(
        self,
        challenger: Recommender,
        evaluation: Evaluation,
        parent: str | None,
        index: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The manifest's fields that are known before the verdict."""
        described = self.read("dataset", columns.DATASET_FILE)
        summary = evaluation.summary()
        return {
            "parent": parent,
            "dataset": {
                "fingerprint": described["fingerprint"],
                "rows": described["rows"]["kept"],
                **{name: self.split.record[name] for name in _INSTANTS},
            },
            "config": dict(self.config),
            "events": {
                name: event.model_dump(include={"weight", "weight_by"}, exclude_none=True)
                for name, event in self.dataset.events.items()
            },
            "metrics": summary[FUNNEL],
            "baselines": {name: values for name, values in summary.items() if name != FUNNEL},
            "index": {name: index[name] for name in ("kind", "dim", "size", "k", "recall")},
            "golden": golden_requests(challenger, self.split.record["watermark"]),
        }


def measured_index(recommender: Recommender, sample: Path, index: Path) -> dict[str, Any]:
    """What ``index.json`` says, with the recall measured again on the index as it will be served."""
    described: dict[str, Any] = json.loads((index / INDEX_FILE).read_text(encoding="utf-8"))
    with np.load(sample) as stored:
        queries = stored["embedding"].astype(np.float32)
    k = min(int(described["k"]), recommender.index.size)
    exact = ExactIndex(np.asarray(recommender.embeddings), recommender.catalogue.ids.ids)
    return {**described, "recall": recall(recommender.index, exact, queries, k)}
