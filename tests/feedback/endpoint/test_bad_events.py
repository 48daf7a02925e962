from pathlib import Path

import pytest

from slate.feedback.endpoint.keys import VARIABLE
from tests.feedback.endpoint.bad_events import KINDS, REFUSED, Kind, Outcome, outcome_of, table
from tests.feedback.endpoint.world import APP, KEYS, SHOP

#: What came of each kind so far, so that the document needs no second run.
OUTCOMES: dict[str, Outcome] = {}
DOCUMENT = Path(__file__).parents[3] / "docs" / "bad-events.md"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEYS)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_kind_is_stopped_with_a_reason_that_names_the_field(kind: Kind) -> None:
    outcome = OUTCOMES.setdefault(kind.name, outcome_of(kind))
    assert outcome.reason.startswith(kind.says)
    assert outcome.status == kind.status
    assert outcome.taken == 0
    assert outcome.quarantined == (0 if kind in REFUSED else 1)
    assert "; " in outcome.reason
    assert SHOP not in outcome.reason
    assert APP not in outcome.reason


def test_there_are_more_than_forty_kinds_of_malformed_events() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert sum(kind.status == 202 for kind in KINDS) >= 40


def test_the_document_is_what_the_kinds_came_to() -> None:
    outcomes = {kind.name: OUTCOMES.get(kind.name) or outcome_of(kind) for kind in KINDS}
    assert DOCUMENT.read_text(encoding="utf-8") == table(outcomes), (
        "run python -m tests.feedback.endpoint.bad_events > docs/bad-events.md"
    )
