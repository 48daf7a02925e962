"""One trained and sealed world, its oracle and its serving side, for all tests of features."""

import pytest

from tests.features.oracle import Oracle
from tests.features.serving import Serving
from tests.features.world import World, prepare, train, write_world

PEOPLE = 700


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Ingested, validated, split, trained for an epoch and sealed; takes some seconds once."""
    folder = tmp_path_factory.mktemp("features")
    return train(folder, prepare(folder, write_world(folder / "files", PEOPLE)))


@pytest.fixture(scope="session")
def oracle(world: World) -> Oracle:
    return Oracle(world.folders["splits"])


@pytest.fixture(scope="session")
def serving(world: World) -> Serving:
    return Serving(world.folders["release"])
