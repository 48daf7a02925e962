import json

import numpy as np
import pytest

from slate.config import EvaluationConfig, GateConfig
from slate.data.vocabulary import IdMap
from slate.evaluation.measure import measure
from slate.evaluation.record import Evaluation, EvaluationRecord
from slate.evaluation.report import render
from slate.evaluation.report_fairness import fairness
from slate.evaluation.report_inputs import ReportInputs
from slate.evaluation.report_quality import headline
from slate.release.verdict import Check, Verdict


def _fixed(targets, k):
    """Item 0 to everybody, and item 1 second."""
    return np.tile(np.array([0, 1] + [-1] * (k - 2), np.int32)[:k], (len(targets), 1))


@pytest.fixture(scope="module")
def evaluation(make_targets):
    # Odd users want item 0, which they get, even ones item 2, which they do not.
    return measure(
        make_targets([(f"u{n}", 0 if n % 2 else 2, []) for n in range(24)]),
        {"funnel": _fixed},
        IdMap.of([f"i{n}" for n in range(4)]),
        np.array([5, 3, 2, 0]),
        EvaluationConfig(ks=(2,), k=2, bootstrap=100),
        protocol="temporal",
        attributes={"side": {f"u{n}": "odd" if n % 2 else "even" for n in range(24)}},
        item_attributes={"studio": ["big", "big", "small", "none"]},
    )


def _verdict(*checks):
    return Verdict(status="refused" if any(not c.passed for c in checks) else "passed", checks=checks)


def test_groups_are_shown_with_the_gaps_and_what_the_gate_made_of_them(evaluation):
    verdict = _verdict(
        Check(name="quality gap side: even", passed=False, value=-1, threshold=-0.5, detail="Worse."),
        Check(name="quality gap side: odd", passed=True, detail="Too few."),
    )
    part = fairness(ReportInputs("x", evaluation=evaluation, verdict=verdict))["users"][0]
    assert part["attribute"] == "side"
    assert [row["name"] for row in part["rows"]] == ["even", "odd"]
    assert [row["gate"] for row in part["rows"]] == [("refused", "limit -0.5000"), ("too few users", "")]
    assert [[value for value, _ in row["cells"]] for row in part["rows"]] == [
        ["0.0000", "0.0000", "-1.0000", "-1.0000"],
        ["1.0000", "1.0000", "+1.0000", "+1.0000"],
    ]
    # Both are shown items 0 and 1 of four; the single head item is half of each list.
    assert [value for value, _ in part["shown"][0]["cells"]][0::3] == ["50.0%", "50.0%"]
    assert [row.bar.tone for row in part["forests"][0].rows] == ["bad", "good"]


def test_exposure_is_shown_against_what_was_wanted_and_the_catalogue(evaluation):
    part = fairness(ReportInputs("x", evaluation=evaluation))["items"][0]
    shown = {row["name"]: [value for value, _ in row["cells"]] for row in part["rows"]}
    assert shown == {
        "big": ["50.0%", "50.0%", "100.0%", "+50.0%", "2.00"],
        "none": ["25.0%", "0.0%", "0.0%", "+0.0%", "–"],
        "small": ["25.0%", "50.0%", "0.0%", "-50.0%", "0.00"],
    }
    found = evaluation.record.fairness.items[0].exposure
    assert part["rows"][0]["cells"][-1][1] == f"{1 + found.relative_low:.2f} – {1 + found.relative_high:.2f}"
    assert [(row.name, row.bar.tone) for row in part["forest"].rows] == [("big", "good"), ("small", "bad")]
    dashed = part["forest"].rows[0].bar.zero
    assert part["forest"].rows[1].bar.dot < dashed < part["forest"].rows[0].bar.dot
    assert all(row["gate"] == ("not judged", "") for row in part["rows"])


def test_the_limits_are_those_of_the_gate(evaluation):
    def limits(**gate):
        return fairness(ReportInputs("x", evaluation=evaluation, gate=GateConfig(**gate)))["limits"]

    found = limits(quality_gap=0.3, exposure_gap=None, min_slice_users=7)
    assert "below 70% of the NDCG@2" in found[0]
    assert found[1] == "Gaps in exposure between groups of items are not judged."
    assert "fewer than 7 users" in found[2]
    assert "below 25% of the exposure" in limits(exposure_gap=0.75)[1]
    assert fairness(ReportInputs("x", evaluation=evaluation))["limits"] == []


def test_a_group_without_others_has_no_gap(make_targets):
    alone = measure(
        make_targets([("a", 0, [])]),
        {"funnel": _fixed},
        IdMap.of(["i0", "i1", "i2"]),
        np.array([5, 3, 2]),
        EvaluationConfig(ks=(2,), k=2, bootstrap=100),
        protocol="temporal",
        attributes={"side": {"a": "odd"}},
    )
    inputs = ReportInputs("x", evaluation=alone)
    part = fairness(inputs)["users"][0]
    assert part["forests"] == []
    assert part["rows"][0]["cells"][2] == ("–", "no others")
    assert "Users by side" in render(inputs)


def test_an_evaluation_of_before_fairness_says_that_it_is_missing(evaluation):
    older = json.loads(evaluation.record.to_json())
    del older["fairness"]
    record = EvaluationRecord.from_json(json.dumps(older))
    assert record.fairness is None
    inputs = ReportInputs("x", evaluation=Evaluation(record, evaluation.per_user, evaluation.exposure))
    assert fairness(inputs) is None
    assert "Nothing was measured by group." in render(inputs)


def test_no_sensitive_attribute_says_how_to_declare_one(make_targets):
    plain = measure(
        make_targets([("a", 0, []), ("b", 1, [])]),
        {"funnel": _fixed},
        IdMap.of(["i0", "i1", "i2"]),
        np.array([5, 3, 2]),
        EvaluationConfig(ks=(2,), k=2, bootstrap=100),
        protocol="temporal",
    )
    assert "No sensitive attribute is declared" in render(ReportInputs("x", evaluation=plain))


def test_the_headline_names_groups_as_they_were_written_and_keeps_them_apart():
    found = headline(
        ReportInputs(
            "x",
            verdict=_verdict(
                Check(name="better_than_popularity", passed=True, detail="Yes."),
                Check(name="slice gender: F", passed=True, detail="Fine."),
                Check(name="quality gap gender: F", passed=True, detail="Fine."),
                Check(name="exposure gap price_band: LOW_end", passed=False, detail="Hidden."),
                Check(name="exposure gap price_band: high", passed=True, detail="Fine."),
            ),
        )
    )
    assert [check["name"] for check in found["failed"]] == ["Exposure gap price_band: LOW_end"]
    assert [check["name"] for check in found["passed"]] == ["Better than popularity"]
    assert [(summary, len(checks)) for summary, checks in found["parts"]] == [
        ("1 slices passed", 1),
        ("2 groups passed", 2),
    ]
