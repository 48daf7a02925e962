"""What ``slate run`` prints at its end: numbers beside baselines, the verdict, the release, a slate."""

import json
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.results import RunResult
from slate import columns
from slate.cli.evaluation_table import evaluation_table
from slate.cli.recommend import print_slate
from slate.data.catalogue import Catalogue
from slate.evaluation.record import Evaluation
from slate.recommend.request import Slate, SlateItem
from slate.release.verdict import Verdict
from slate.steps.assemble import CONTENT, DRAFT


def print_summary(run: RunResult, console: Console) -> None:
    """Print what the finished steps left; silent about what was not reached."""
    evaluation = run.artefact("evaluate", "evaluation")
    if evaluation is None:
        return
    record = Evaluation.open(evaluation).record
    console.print(evaluation_table(record))
    for name, reason in record.skipped.items():
        console.print(f"{name} was left out: {escape(reason)}")
    written = run.artefact("gate", "verdict")
    if written is not None:
        _print_verdict(Verdict.from_json(written.read_text(encoding="utf-8")), console)
    candidate = run.artefact("evaluate", "candidate")
    if candidate is not None:
        _print_sample(candidate, run.release_id or "(none made)", console)
    if run.release_id:
        console.print(f"release  [bold]{escape(run.release_id)}[/bold]")
    if run.report:
        console.print(f"report   {escape(str(run.report))}")
    console.print(f"run      {escape(run.run_id)}, {timedelta(seconds=round(run.seconds))}")


def _print_verdict(verdict: Verdict, console: Console) -> None:
    colour = {"passed": "green", "unchanged": "cyan"}.get(verdict.status, "red")
    console.print(f"verdict  [bold {colour}]{verdict.status}[/bold {colour}]")
    for check in verdict.failed or verdict.checks:
        if not check.passed or verdict.status == "unchanged":
            console.print(f"  {escape(check.name)}: {escape(check.detail)}")


def _print_sample(candidate: Path, release: str, console: Console) -> None:
    """The first golden answer, which the candidate gave when it was made."""
    draft = json.loads((candidate / DRAFT).read_text(encoding="utf-8"))
    case = draft["golden"][0]
    titles = Catalogue.open(candidate / CONTENT / columns.ITEMS_FILE).titles
    items = tuple(
        SlateItem(item["item_id"], item["score"], place, "")
        for place, item in enumerate(case["response"]["items"], start=1)
    )
    slate = Slate(case["request"]["user_id"], items, case["response"]["rung"], release)
    print_slate(slate, titles, console)
