"""The report of one run: a single HTML file that needs nothing else."""

from pathlib import Path

from slate.evaluation.report_inputs import ReportInputs
from slate.pages.render import render as page


def render(inputs: ReportInputs) -> str:
    """The page as HTML text: no script, no request to anywhere, every value escaped."""
    # Charts bring matplotlib; whoever only names this module does not pay for it.
    from slate.evaluation import (
        report_data,
        report_explanations,
        report_fairness,
        report_models,
        report_quality,
    )

    return page(
        "slate.evaluation",
        "report.html.j2",
        inputs=inputs,
        headline=report_quality.headline(inputs),
        metrics=report_quality.metrics(inputs),
        slices=report_quality.slices(inputs),
        fairness=report_fairness.fairness(inputs),
        exposure=report_quality.exposure(inputs),
        learning=report_models.learning(inputs),
        ranker=report_models.ranker(inputs),
        explanations=report_explanations.explanations(inputs),
        index=report_models.index(inputs),
        data=report_data.overview(inputs),
        slates=report_data.slates(inputs),
        config=report_data.config(inputs),
    )


def write_report(inputs: ReportInputs, path: Path) -> None:
    """Render into one file; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(inputs), encoding="utf-8")
