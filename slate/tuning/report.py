"""The page of a search, and its trials as JSON beside it."""

import json
from pathlib import Path
from typing import Any, Final

from slate.config import SlateConfig
from slate.pages.render import render as page
from slate.tuning import charts
from slate.tuning.summary import FIGURES, MEASURES, gain, outcome_counts, shown
from slate.tuning.trial import State, Trial
from slate.tuning.tune import Search

REPORT_FILE: Final = "report.html"
TRIALS_FILE: Final = "trials.json"


def write_report(search: Search, config: SlateConfig) -> Path:
    """Write ``report.html`` and ``trials.json`` into the study's folder; returns the page."""
    plain = [trial.plain() for trial in search.trials]
    (search.folder / TRIALS_FILE).write_text(
        json.dumps(plain, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    path = search.folder / REPORT_FILE
    path.write_text(render(search, config), encoding="utf-8")
    return path


def render(search: Search, config: SlateConfig) -> str:
    """The page as HTML text."""
    tuning, trials = config.tuning, search.trials
    objective = tuning.objective
    short = "NDCG@10" if objective == "retrieval" else "NDCG"
    counted = [trial for trial in trials if trial.state is not State.INTERRUPTED]
    plots = {key: charts.against(key, parameter, counted, short) for key, parameter in tuning.space.items()}
    return page(
        "slate.tuning",
        "report.html.j2",
        name=config.dataset.name,
        search=search,
        tuning=tuning,
        measure=MEASURES[objective],
        figure=FIGURES[objective],
        gain=gain(search),
        settings=_settings(search),
        facts=_facts(search, config),
        importances=_importances(search),
        keys=[key.partition(".")[2] for key in tuning.space],
        rows=[_row(trial, search, tuning.space) for trial in trials],
        history=charts.history(counted, short),
        curves=charts.curves(counted, search.best, FIGURES[objective]),
        against={key: plot for key, plot in plots.items() if plot is not None},
    )


def _settings(search: Search) -> list[dict[str, Any]]:
    given = search.baseline.values if search.baseline else {}
    return [
        {"key": key, "given": shown(given.get(key)), "best": shown(value), "changed": given.get(key) != value}
        for key, value in search.best.values.items()
    ]


def _facts(search: Search, config: SlateConfig) -> list[tuple[str, str]]:
    tuning = config.tuning
    seconds = sum(trial.seconds for trial in search.trials)
    return [
        ("Trials", outcome_counts(search.trials)),
        ("Sampler", tuning.sampler),
        ("Pruner", tuning.pruner),
        ("Seed", str(tuning.seed)),
        ("Time of all trials", f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"),
        ("Study", search.name),
        ("Split fingerprint", search.fingerprint[:16]),
    ]


def _importances(search: Search) -> list[dict[str, Any]]:
    most = max(search.importances.values(), default=0.0) or 1.0
    ordered = sorted(search.importances.items(), key=lambda entry: -entry[1])
    return [{"key": key, "share": share, "wide": 100 * share / most} for key, share in ordered]


def _row(trial: Trial, search: Search, space: Any) -> dict[str, Any]:
    notes = ["as configured"] if trial.baseline else []
    notes += ["best"] if trial.number == search.best.number else []
    return {
        "trial": trial,
        "best": trial.number == search.best.number,
        "note": ", ".join(notes),
        "value": "–" if trial.value is None else f"{trial.value:.4f}",
        "values": [shown(trial.values[key]) if key in trial.values else "–" for key in space],
    }
