import pytest

from slate.simulation.world import Size, World, make_world


@pytest.fixture(scope="session")
def world() -> World:
    """A small world."""
    return make_world(Size(users=120, items=60, days=20, visits=6), seed=3)
