"""The folder of a simulation: a store with both releases, and a configuration for the stack."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from slate.config import SlateConfig, load_config
from slate.errors import ConfigError
from slate.simulation.dataset import CONFIG, write_dataset
from slate.simulation.past import write_past
from slate.simulation.recipe import Truth
from slate.simulation.releases import Candidate, Pair, put_releases
from slate.simulation.settings import Settings
from slate.simulation.world import Size, World, make_world

STORE: Final = "store"
DATA: Final = "data"
_NOTE: Final = "simulation.json"


@dataclass(frozen=True)
class Prepared:
    """What was prepared in a folder."""

    folder: Path
    candidate: Candidate
    seed: int
    size: Size
    visits_per_day: float
    time_scale: float
    releases: Pair

    @property
    def store(self) -> str:
        """The address of its store."""
        return str(self.folder / STORE)

    @property
    def config_path(self) -> Path:
        """The configuration that the stack runs with."""
        return self.folder / DATA / CONFIG

    def config(self, overrides: Sequence[str] = ()) -> SlateConfig:
        """The same, read."""
        return load_config(self.config_path, overrides)

    def world(self) -> World:
        """Its users and items."""
        return make_world(self.size, self.seed)


def prepare(
    settings: Settings,
    candidate: Candidate,
    folder: Path,
    *,
    seed: int,
    code: str,
    cache: Path,
    tell: Callable[[str], None] = lambda _: None,
) -> Prepared:
    """Make everything that a simulation needs before users come.

    Args:
        folder: does not exist, or is empty.

    Raises:
        ConfigError: something lies there already.
        ModelError, ReleaseError, StorageError: see :func:`slate.simulation.releases.put_releases`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"--folder {folder}: something lies there already; name another one, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    releases = put_releases(settings, candidate, folder / STORE, seed=seed, code=code, cache=cache, tell=tell)
    world = make_world(settings.size, seed)
    write_dataset(world, write_past(world), {**settings.training, **settings.running}, folder / DATA)
    prepared = Prepared(
        folder.resolve(),
        candidate,
        seed,
        settings.size,
        settings.visits_per_day,
        settings.time_scale,
        releases,
    )
    note = asdict(prepared) | {"folder": None, "releases": _plain(releases)}
    (folder / _NOTE).write_text(json.dumps(note, indent=1), encoding="utf-8")
    return prepared


def read_prepared(folder: Path) -> Prepared:
    """What :func:`prepare` made.

    Raises:
        ConfigError: nothing was prepared there.
    """
    try:
        raw = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--folder {folder}: holds no simulation ({error}); make one with 'slate simulate --prepare'"
        ) from error
    return Prepared(
        folder.resolve(),
        Candidate(raw["candidate"]),
        raw["seed"],
        Size(**raw["size"]),
        raw["visits_per_day"],
        raw["time_scale"],
        _pair(raw["releases"]),
    )


def _plain(releases: Pair) -> dict[str, Any]:
    return {
        name: asdict(each) if isinstance(each, Truth) else each for name, each in releases._asdict().items()
    }


def _pair(raw: Mapping[str, Any]) -> Pair:
    return Pair(
        raw["stable"], raw["candidate"], Truth(**raw["stable_truth"]), Truth(**raw["candidate_truth"])
    )
