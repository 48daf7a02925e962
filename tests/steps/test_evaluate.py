import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from slate import columns
from slate.evaluation.record import Evaluation
from slate.ranking.explain.record import Explanations
from slate.release.verdict import Verdict
from slate.steps.assemble import CONTENT, REPORTS, content_hash
from slate.steps.champion import PAGE
from slate.steps.gate import gate
from slate.steps.trained import Run


@pytest.fixture
def reports(tiny: Any) -> Path:
    folder: Path = tiny.folders["candidate"] / CONTENT / REPORTS
    return folder


def test_a_release_ships_what_its_ranker_looks_at(tiny: Any, reports: Path) -> None:
    shipped = (reports / columns.EXPLANATIONS_FILE).read_text(encoding="utf-8")
    assert shipped == (tiny.folders["ranker"] / columns.EXPLANATIONS_FILE).read_text(encoding="utf-8")
    found = Explanations.from_json(shipped)
    assert {(i.group, i.name) for i in found.importance} >= {
        ("retrieval", "score"),
        ("history", "items"),
        ("item", "genre"),
        ("item", "minutes"),
        ("item", "id and vector"),
        ("user", "region"),
        ("context", "surface"),
        ("item", "everything"),
    }
    assert {curve.name for curve in found.curves} >= {
        "minutes",
        "genre",
        "region",
        "surface",
        "score",
        "length",
    }
    page = (reports / PAGE).read_text(encoding="utf-8")
    assert "seconds to find out" in page
    assert "Users by region" in page


def test_reports_are_no_part_of_what_a_release_answers_with(tiny: Any, reports: Path) -> None:
    facts = json.loads((reports / "facts.json").read_text(encoding="utf-8"))
    content = tiny.folders["candidate"] / CONTENT
    assert content_hash(content, tiny.config) == facts["challenger"]["content"]


def test_groups_of_the_sensitive_attributes_are_measured_and_judged(tiny: Any) -> None:
    fairness = Evaluation.open(tiny.folders["evaluation"]).record.fairness
    assert fairness is not None
    assert [group.name for group in fairness.users] == ["region: north", "region: south"]
    assert fairness.items == ()
    verdict = Verdict.from_json(tiny.folders["verdict"].read_text(encoding="utf-8"))
    names = {check.name for check in verdict.checks}
    assert {"fairness", "quality gap region: north", "quality gap region: south"} <= names


def test_a_ranker_that_was_not_explained_has_no_explanations(tiny: Any, tmp_path: Path) -> None:
    assert Run(tiny.config, {"ranker": tmp_path}).explanations is None
    assert Run(tiny.config, tiny.folders).explanations is not None


def test_a_declared_attribute_without_evidence_is_refused(tiny: Any, tmp_path: Path) -> None:
    shutil.copytree(tiny.folders["evaluation"], tmp_path / "evaluation")
    path = tmp_path / "evaluation" / columns.EVALUATION_FILE
    older = json.loads(path.read_text(encoding="utf-8"))
    del older["fairness"]
    path.write_text(json.dumps(older), encoding="utf-8")
    written = tmp_path / "verdict.json"
    arguments = (tmp_path / "evaluation", tiny.folders["candidate"], written)
    assert gate(tiny.config["gate"], *arguments) == "refused"
    (check,) = Verdict.from_json(written.read_text(encoding="utf-8")).failed
    assert check.name == "fairness"
    assert "evaluation.fairness: missing" in check.detail
    off = {**tiny.config["gate"], "quality_gap": None, "exposure_gap": None}
    assert gate(off, *arguments) == "passed"
