"""Make one release by the steps of the training pipeline, in a process of its own::

python -m slate.simulation.train RECIPE.json FOLDER
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from slate.clock import SystemClock
from slate.config import load_config
from slate.errors import GateError
from slate.simulation.dataset import write_dataset
from slate.simulation.recipe import STORE, TRUTH, Recipe, Truth
from slate.simulation.tastes import Tastes, looks

_WORK: Final = "work"
_ASKED_AT_ONCE: Final = 32
_ASKED: Final = 400
_REVISION: Final = "simulation"


def make(recipe: Recipe, folder: Path) -> None:
    """Write ``store`` with the release, and ``truth.json``.

    Raises:
        GateError: the gate refused it.
    """
    world = recipe.world()
    config = write_dataset(world, recipe.table(world), dict(recipe.training), folder / _WORK)
    release_id = _train(config, folder)
    truth = _truth(world.tastes, str(folder / STORE), release_id)
    text = json.dumps({"release_id": release_id, "truth": asdict(truth)})
    (folder / TRUTH).write_text(text, encoding="utf-8")


def _train(path: Path, folder: Path) -> str:
    """The release that passed, in a store of its own: a first release, which has no champion to beat."""
    from slate.steps.build_index import build_index
    from slate.steps.evaluate import evaluate
    from slate.steps.gate import gate
    from slate.steps.ingest import ingest
    from slate.steps.push_release import push_release
    from slate.steps.split import split
    from slate.steps.train_ranker import train_ranker
    from slate.steps.train_two_tower import train_two_tower
    from slate.steps.validate import validate

    config = load_config(path)
    sections = {name: config.section(name) for name in type(config).model_fields if name != "store"}
    dataset, work, store = sections["dataset"], path.parent, str(folder / STORE)
    at = {
        name: work / name
        for name in ("raw", "dataset", "splits", "tower", "index", "ranker", "candidate", "evaluation")
    }
    verdict = work / "verdict.json"
    ingest(dataset, at["raw"], work / "cache")
    validate(dataset, at["raw"], at["dataset"], work / "validation.html")
    split(dataset, sections["split"], at["dataset"], at["splits"])
    train_two_tower(sections["retrieval"], dataset, at["splits"], at["tower"], None)
    build_index(sections["index"], at["splits"], at["tower"], at["index"])
    train_ranker(sections["ranking"], dataset, at["splits"], at["tower"], at["index"], at["ranker"])
    evaluate(
        sections,
        at["splits"],
        at["dataset"],
        at["tower"],
        at["index"],
        at["ranker"],
        store,
        "",
        at["candidate"],
        at["evaluation"],
        work / "report.html",
    )
    if gate(sections["gate"], at["evaluation"], at["candidate"], verdict) != "passed":
        raise GateError(f"simulation: the gate refused the release; {verdict} says why")
    return push_release(store, at["candidate"], verdict, _REVISION)


def _truth(tastes: Tastes, store: str, release_id: str) -> Truth:
    """What the release's slates are worth by the true tastes, before anybody does anything more."""
    from slate.recommend.open import open_release
    from slate.recommend.request import Request

    recommender, now = open_release(release_id, store=store), SystemClock().now()
    asked = np.linspace(0, len(tastes.users) - 1, min(_ASKED, len(tastes.users))).astype(int)
    found, best = [], []
    for start in range(0, len(asked), _ASKED_AT_ONCE):
        users = [int(place) for place in asked[start : start + _ASKED_AT_ONCE]]
        slates = recommender.recommend_batch([Request(user_id=tastes.users[u], at=now) for u in users])
        for user, slate in zip(users, slates, strict=True):
            found.append(tastes.expected(tastes.users[user], [item.item_id for item in slate.items]))
            ordered = np.sort(tastes.worth(user))[::-1][: len(slate.items)]
            best.append(sum(looks(p) * worth for p, worth in enumerate(ordered, 1)))
    return Truth(float(np.mean(found)), float(np.mean(best)), len(asked))


if __name__ == "__main__":
    make(Recipe.load(Path(sys.argv[1])), Path(sys.argv[2]))
