"""What a report can show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from slate.config import GateConfig
from slate.evaluation.record import Evaluation
from slate.ranking.explain.record import Explanations
from slate.release.verdict import Verdict


@dataclass(frozen=True)
class SampleSlate:
    """One real user's slate, as titles.

    ``history`` is oldest first, ``recommended`` best first, ``wanted`` what the user went on to do in
    the holdout. ``note`` says who it is in a few words.
    """

    user: str
    history: Sequence[str]
    recommended: Sequence[str]
    wanted: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True)
class ReportInputs:
    """Everything the report can show; whatever is None or empty is said to be missing.

    The mappings are the parsed JSON files of the steps: ``dataset`` is ``dataset.json``, ``split`` is
    ``split.json``, ``two_tower`` and ``ranker`` are the ``training.json`` of each, ``ranker_metrics`` is
    ``metrics.json``, ``index`` is ``index.json``. ``explanations`` is the ranker's ``explanations.json``.
    ``interactions`` is the prepared table, for the data overview. ``gate`` is what ``verdict`` was found by.
    """

    title: str
    generated_at: str = ""
    verdict: Verdict | None = None
    gate: GateConfig | None = None
    evaluation: Evaluation | None = None
    dataset: Mapping[str, Any] | None = None
    split: Mapping[str, Any] | None = None
    interactions: pa.Table | None = None
    two_tower: Mapping[str, Any] | None = None
    ranker: Mapping[str, Any] | None = None
    ranker_metrics: Mapping[str, Any] | None = None
    explanations: Explanations | None = None
    index: Mapping[str, Any] | None = None
    slates: Sequence[SampleSlate] = ()
    config: Mapping[str, Any] | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
