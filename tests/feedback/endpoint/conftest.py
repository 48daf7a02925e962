"""A fresh endpoint for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slate.feedback.endpoint.keys import VARIABLE
from tests.feedback.endpoint.world import KEYS, World


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    """Makes an endpoint with these settings of the section feedback."""
    monkeypatch.setenv(VARIABLE, KEYS)
    made: list[World] = []

    def make(**settings: Any) -> World:
        folder = tmp_path / f"world{len(made)}"
        folder.mkdir()
        made.append(World(folder, settings))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """An endpoint with the default settings."""
    return make_world()
