"""Pipeline step: assemble the release, measure it as it would serve, write the report."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from slate import columns
from slate.evaluation.compare import compare
from slate.evaluation.gate import GateInputs, decide
from slate.evaluation.holdout import Holdout
from slate.evaluation.record import FUNNEL, Evaluation
from slate.evaluation.report import write_report
from slate.monitoring.reference import REFERENCE_FILE
from slate.recommend.recommender import Recommender
from slate.steps.assemble import CONTENT, DRAFT, HOLDOUT, REPORTS, assemble, content_hash
from slate.steps.champion import FACTS, PAGE, open_champion
from slate.steps.monitor import describe_slates
from slate.steps.report import report_inputs
from slate.steps.trained import Run

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

    Where the champion has the candidate's own content and was measured in the same way, its evaluation
    is taken over: there is nothing to learn from measuring it against itself.

    Args:
        config: section name to section; an empty one has no part in this run.
        champion: the release to beat, a channel that may be empty, or the empty string.

    Returns:
        headline metrics.
    """
    config = {name: section for name, section in config.items() if section}
    run = Run(
        config,
        {"dataset": dataset, "splits": splits, "two_tower": two_tower, "index": index, "ranker": ranker},
    )
    run.check_same_split()
    content = candidate / CONTENT
    assemble(config, splits, two_tower, index, ranker, content)
    live = open_champion(store, champion)
    out.mkdir(parents=True, exist_ok=True)
    report.parent.mkdir(parents=True, exist_ok=True)
    if live is not None and live.measured_alike(content_hash(content, config), config):
        evaluation = live.evaluation()
        shipped = json.loads((live.path / REPORTS / FACTS).read_text("utf-8"))
        facts = run.facts(content, live.facts, shipped) | run.forgetting(None, None)
        draft = live.draft()
        shutil.copy2(live.path / REPORTS / PAGE, report)
    else:
        challenger = Recommender(content, config, UNSEALED)
        beaten = live.recommender() if live else None
        holdout = Holdout.open(content / HOLDOUT)
        evaluation = compare(
            challenger,
            holdout,
            run.evaluation,
            events=run.dataset.target_events,
            sensitive=run.dataset.sensitive_attributes,
            sensitive_items=run.dataset.sensitive_item_attributes,
            train=run.split.part("train"),
            champion=beaten,
        )
        facts = run.facts(content, live.facts if live else None, run.model_facts(challenger, content))
        facts |= run.forgetting(challenger, beaten)
        draft = run.draft(challenger, evaluation, live.release_id if live else None, facts["index"])
        verdict = decide(gate_inputs(evaluation.record.to_json(), json.dumps(facts)), run.gate)
        write_report(report_inputs(run, challenger, holdout, evaluation, verdict), report)
        reports = content / REPORTS
        reports.mkdir()
        shutil.copy2(report, reports / PAGE)
        (reports / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        describe_slates(challenger, holdout, run.dataset.target_events, reports / REFERENCE_FILE)
        if run.explanations is not None:
            shutil.copy2(ranker / columns.EXPLANATIONS_FILE, reports / columns.EXPLANATIONS_FILE)
        evaluation.save(reports)
    evaluation.save(out)
    (out / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    (candidate / DRAFT).write_text(json.dumps(draft, indent=1, ensure_ascii=False), encoding="utf-8")
    return _headline(evaluation)


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


def _headline(evaluation: Evaluation) -> dict[str, Any]:
    """Plain numbers for the metrics view: every ranker's decision metric, and the funnel's others."""
    summary = evaluation.summary()
    metric = evaluation.record.metric
    flat = {f"{ranker}_{metric}": values[metric] for ranker, values in summary.items()}
    return flat | {f"{FUNNEL}_{name}": value for name, value in summary[FUNNEL].items()}
