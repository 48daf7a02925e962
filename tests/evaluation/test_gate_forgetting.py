"""What an update may forget."""

from typing import Any

import pytest

from slate.config import GateConfig
from slate.errors import GateError
from slate.evaluation.gate import GateInputs, decide
from slate.evaluation.gate_forgetting import forgetting

CONFIG = GateConfig(forgetting_margin=0.1, min_slice_users=30)


def measured(mine: float, theirs: float, spread: float, users: int = 50) -> dict[str, Any]:
    value = mine - theirs
    return {
        "parent": "r-0",
        "train_end": "2026-03-01T00:00:00.000000Z",
        "metric": "ndcg@10",
        "targets": 400,
        "difference": {
            "users": users,
            "challenger": mine,
            "reference": theirs,
            "value": value,
            "lower": value - spread,
            "upper": value + spread,
        },
    }


@pytest.mark.parametrize(
    ("evidence", "passed"),
    [
        (measured(0.50, 0.50, 0.01), True),
        (measured(0.60, 0.50, 0.01), True),
        (measured(0.46, 0.50, 0.01), True),  # a loss, but within the margin
        (measured(0.40, 0.50, 0.01), False),
        (measured(0.40, 0.50, 0.11), True),  # no more than chance makes
        (measured(0.10, 0.50, 0.01, users=29), True),  # too few to judge
        (measured(0.10, 0.50, 0.01, users=30), False),
    ],
)
def test_only_a_loss_beyond_margin_and_chance_refuses(evidence: dict[str, Any], passed: bool) -> None:
    check = forgetting(evidence, "r-0", CONFIG)
    assert check.passed is passed
    assert check.value == pytest.approx(evidence["difference"]["value"])
    assert f"{evidence['difference']['users']} users who are never trained on" in check.detail


def test_a_share_with_nobody_in_it_is_not_judged() -> None:
    check = forgetting({"parent": "r-0", "targets": 0}, "r-0", CONFIG)
    assert (check.passed, check.value) == (True, None)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (None, r"was not measured; keep users out of training with split\.unseen_users"),
        (
            measured(0.5, 0.5, 0.1) | {"parent": "r-7"},
            "was measured against r-7, but the run started from r-0",
        ),
        ({"parent": "r-0"}, r"forgetting\.targets: missing"),
        (measured(float("nan"), 0.5, 0.1), "nan is not a finite number"),
        (measured(0.5, 0.5, 0.1) | {"difference": {}}, "holds no values"),
    ],
)
def test_evidence_that_is_missing_or_of_another_release_fails(evidence: Any, said: str) -> None:
    with pytest.raises(GateError, match=said):
        forgetting(evidence, "r-0", CONFIG)


def test_the_gate_asks_for_it_only_where_a_run_started_from_a_release() -> None:
    asked = {check.name: check for check in decide(GateInputs(parent="r-0"), CONFIG).checks}
    assert not asked["forgetting"].passed
    assert "forgetting" not in {check.name for check in decide(GateInputs(), CONFIG).checks}
