"""Releases are made by what they depend on, and put into a store so that the candidate is the younger."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from slate.errors import ModelError
from slate.release.channels import read_channel
from slate.release.verify import read_manifest
from slate.simulation.recipe import STORE, TRUTH, Recipe, Truth
from slate.simulation.releases import Candidate, put_releases, trained
from slate.simulation.settings import Settings, read_settings
from slate.storage import open_store
from tests.conftest import TinyRun

CODE = "as it is"


@pytest.fixture
def settings() -> Settings:
    return read_settings(quick=True)


def kept(tiny: TinyRun, recipe: Recipe, cache: Path, engagement: float) -> None:
    """Put a release into the cache as if it had been trained."""
    folder = cache / recipe.key(CODE)
    folder.mkdir(parents=True)
    (folder / STORE).symlink_to(tiny.store)
    truth = asdict(Truth(engagement, 5.0, 400))
    (folder / TRUTH).write_text(json.dumps({"release_id": tiny.release_id, "truth": truth}))


def test_a_recipe_has_another_name_where_anything_differs_and_survives_a_file(
    settings: Settings, tmp_path: Path
) -> None:
    recipe = Recipe.of(settings, 1, "whole")
    others = (
        Recipe.of(settings, 2, "whole"),
        Recipe.of(settings, 1, "early"),
        Recipe.of(read_settings(quick=True, users=900), 1, "whole"),
        replace(recipe, early_days=3.0),
        replace(recipe, training={**settings.training, "index": {"k": 5}}),
    )
    assert len({recipe.key(CODE), recipe.key("other"), *(other.key(CODE) for other in others)}) == 7
    recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json").key(CODE) == recipe.key(CODE)


@pytest.mark.parametrize(
    ("candidate", "first", "second"),
    [("better", "early", "whole"), ("worse", "whole", "corrupted"), ("same", "whole", None)],
)
def test_stable_and_candidate_come_from_their_logs_and_the_candidate_is_younger(
    candidate: str, first: str, second: str | None, tiny: TinyRun, settings: Settings, tmp_path: Path
) -> None:
    kept(tiny, Recipe.of(settings, 1, first), tmp_path / "cache", 2.0)  # type: ignore[arg-type]
    if second is not None:
        kept(tiny, Recipe.of(settings, 1, second), tmp_path / "cache", 3.0)  # type: ignore[arg-type]
    store = tmp_path / "store"
    found = put_releases(
        settings, Candidate(candidate), store, seed=1, code=CODE, cache=tmp_path / "cache", tell=pytest.fail
    )
    opened = open_store(str(store))
    channel = read_channel(opened, "stable")
    assert channel is not None
    assert channel.release_id == found.stable < found.candidate
    stable, newer = (read_manifest(opened, name) for name in (found.stable, found.candidate))
    assert stable.same_content(newer)
    assert (found.stable_truth.engagement, found.candidate_truth.engagement) == (2.0, 3.0 if second else 2.0)


def test_a_training_that_fails_says_why_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    impossible = {**settings.training, "retrieval": {"dim": 3, "heads": 2}}
    recipe = replace(Recipe.of(settings, 1, "early"), training=impossible)
    with pytest.raises(ModelError, match="multiple of heads"):
        trained([recipe], CODE, tmp_path, tell=lambda _: None)
    assert list(tmp_path.iterdir()) == []
