"""How a release of the simulation is made, and where it is kept so that it is made once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from slate.simulation.past import corrupted, early, write_past
from slate.simulation.settings import Settings
from slate.simulation.world import Size, World, make_world

Log = Literal["whole", "early", "corrupted"]

_HERE: Final = Path(__file__).parent
_MAKES_WORLDS: Final = ("chance", "dataset", "past", "tastes", "train", "world")

STORE: Final = "store"
TRUTH: Final = "truth.json"


@dataclass(frozen=True)
class Recipe:
    """All that decides what a release is like: the world, which log of it, and how models are trained."""

    size: Size
    seed: int
    log: Log
    early_days: float
    training: Mapping[str, Any]

    @classmethod
    def of(cls, settings: Settings, seed: int, log: Log) -> "Recipe":
        """That of a log with these settings."""
        return cls(settings.size, seed, log, settings.early_days, settings.training)

    def key(self, code: str) -> str:
        """The name of its folder in the cache.

        Args:
            code: what training depends on beside the recipe; how worlds are made counts anyway.
        """
        sources = [(_HERE / f"{name}.py").read_text(encoding="utf-8") for name in _MAKES_WORLDS]
        text = json.dumps({"recipe": asdict(self), "code": code, "sources": sources}, sort_keys=True)
        return f"{self.log}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def world(self) -> World:
        """The world, always the same."""
        return make_world(self.size, self.seed)

    def table(self, world: World) -> pa.Table:
        """The log that the release is trained on."""
        log = write_past(world)
        if self.log == "early":
            return early(log, self.early_days)
        return corrupted(log, self.seed) if self.log == "corrupted" else log

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """The inverse of :meth:`save`."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**raw, "size": Size(**raw["size"])})


@dataclass(frozen=True)
class Truth:
    """What a release is worth to the users: the engagement to be expected of a slate, a mean over ``users``.

    ``best`` is that of the slates nobody could improve on, made of the true tastes.
    """

    engagement: float
    best: float
    users: int


@dataclass(frozen=True)
class Made:
    """A release in a store of its own, and what it is truly worth."""

    store: Path
    release_id: str
    truth: Truth


def read_made(folder: Path) -> Made | None:
    """What lies in a folder of the cache; None where nothing was made there."""
    try:
        raw = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Made(folder / STORE, raw["release_id"], Truth(**raw["truth"]))
