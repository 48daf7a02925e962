from pathlib import Path
from typing import Any

from slate.steps.champion import open_champion


def test_a_schedule_names_the_channel_and_meets_the_release_that_is_live(tiny: Any) -> None:
    live = open_champion(tiny.store, "stable")
    assert live is not None
    assert live.release_id == tiny.release_id
    assert live.facts["train_end"] < live.facts["valid_end"]


def test_an_empty_channel_and_an_empty_name_are_no_champion(tmp_path: Path) -> None:
    assert open_champion(str(tmp_path), "stable") is None
    assert open_champion(str(tmp_path), "") is None


def test_it_is_taken_over_only_if_it_was_measured_alike(tiny: Any) -> None:
    live = open_champion(tiny.store, tiny.release_id)
    assert live is not None
    assert live.measured_alike(live.content, tiny.config)
    assert not live.measured_alike("another content", tiny.config)
    assert not live.measured_alike(live.content, tiny.sections(evaluation={"k": 3}))
