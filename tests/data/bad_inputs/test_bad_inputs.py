import random
from pathlib import Path

import pytest

from tests.data.bad_inputs.catalogue import (
    KINDS,
    Kind,
    Outcome,
    World,
    event_rows,
    examine,
    outcome_of,
    table,
)

#: What came of each kind so far, so that the document needs no second run.
OUTCOMES: dict[str, Outcome] = {}
DOCUMENT = Path(__file__).parents[3] / "docs" / "bad-inputs.md"


def test_the_data_set_that_is_broken_is_sound(tmp_path: Path) -> None:
    outcome = examine(World(tmp_path), tmp_path / "out")
    assert (outcome.read, outcome.kept, outcome.error) == (120, 120, "")
    assert outcome.findings == {}


@pytest.mark.parametrize("kind", KINDS, ids=[k.name for k in KINDS])
def test_a_kind_is_stopped_or_reported_as_specified(kind: Kind) -> None:
    outcome = OUTCOMES.setdefault(kind.name, outcome_of(kind))
    assert outcome.read == outcome.kept + sum(outcome.dropped.values())
    assert kind.says in outcome.error
    assert "Traceback" not in outcome.error
    if kind.check == "stopped":
        assert outcome.error
        return
    if kind.check == "sound":
        assert (dict(outcome.findings), outcome.error, outcome.read) == ({}, "", 120)
        return
    assert kind.check in outcome.findings, list(outcome.findings)
    finding = outcome.findings[kind.check]
    assert finding["severity"] == kind.severity
    assert bool(outcome.error) == (kind.severity == "error")
    assert kind.check in outcome.error or kind.severity == "warning"
    if not kind.drift:
        assert outcome.dropped.get(kind.check, 0) == kind.dropped
        assert finding["count"] > 0
        assert (finding["effect"] == "dropped") >= bool(kind.dropped and kind.check != "no_event")


def test_there_are_more_than_thirty_kinds_with_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) > 30


@pytest.mark.parametrize("seed", range(6))
def test_any_mixture_of_bad_values_accounts_for_every_row(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    bad = [
        "",
        " ",
        "nan",
        "inf",
        "null",
        "0",
        "-1",
        "1e400",
        "é",
        "9" * 30,
        "2026-13-45",
        "true",
        "12.0",
        "x",
    ]
    rows = event_rows()
    for row in rows:
        for column in range(6):
            if generator.random() < 0.08:
                row[column] = generator.choice(bad)
    rows += generator.sample(rows, 10)
    world = World(tmp_path)
    world.events(rows)
    outcome = examine(world, tmp_path / "out")
    assert outcome.read == len(rows)
    assert outcome.kept + sum(outcome.dropped.values()) == len(rows)
    assert 0 < outcome.kept < len(rows)
    assert set(outcome.dropped) <= {*outcome.findings, "no_event"}


def test_the_document_is_what_the_kinds_came_to() -> None:
    outcomes = {kind.name: OUTCOMES.get(kind.name) or outcome_of(kind) for kind in KINDS}
    assert DOCUMENT.read_text(encoding="utf-8") == table(outcomes), (
        "run python -m tests.data.bad_inputs.catalogue > docs/bad-inputs.md"
    )
