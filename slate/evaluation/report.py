"""The report of one run: a single HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from slate.evaluation.record import Evaluation
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
    ``metrics.json``, ``index`` is ``index.json``. ``interactions`` is the prepared table, for the data
    overview.
    """

    title: str
    generated_at: str = ""
    verdict: Verdict | None = None
    evaluation: Evaluation | None = None
    dataset: Mapping[str, Any] | None = None
    split: Mapping[str, Any] | None = None
    interactions: pa.Table | None = None
    two_tower: Mapping[str, Any] | None = None
    ranker: Mapping[str, Any] | None = None
    ranker_metrics: Mapping[str, Any] | None = None
    index: Mapping[str, Any] | None = None
    slates: Sequence[SampleSlate] = ()
    config: Mapping[str, Any] | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)


def render(inputs: ReportInputs) -> str:
    """The page as HTML text: no script, no request to anywhere, every value escaped."""
    from slate.evaluation import report_data, report_models, report_quality

    environment = Environment(
        loader=PackageLoader("slate.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        inputs=inputs,
        headline=report_quality.headline(inputs),
        metrics=report_quality.metrics(inputs),
        slices=report_quality.slices(inputs),
        exposure=report_quality.exposure(inputs),
        learning=report_models.learning(inputs),
        ranker=report_models.ranker(inputs),
        index=report_models.index(inputs),
        data=report_data.overview(inputs),
        slates=report_data.slates(inputs),
        config=report_data.config(inputs),
    )


def write_report(inputs: ReportInputs, path: Path) -> None:
    """Render into one file; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(inputs), encoding="utf-8")
