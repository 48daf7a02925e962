"""Bring two towers up to date: from a parent's weights, on what is new and on some of what is old."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from slate.config import IncrementalConfig, RetrievalConfig
from slate.data.catalogue import Catalogue
from slate.errors import ConfigError
from slate.retrieval.batches import Examples
from slate.retrieval.checkpoints import Checkpoints
from slate.retrieval.train import Trainer, checkpoint_key
from slate.retrieval.training_data import TrainingData
from slate.retrieval.two_tower import TwoTower
from slate.retrieval.weights import Arrays, Ids, carried_codes, start_from

#: What the shapes of the towers' weights depend on.
SHAPED_BY: Final = ("dim", "blocks", "heads", "history", "min_item_count")
IDS: Final = "candidate_tower/ids"


@dataclass(frozen=True)
class ParentTower:
    """A parent's towers: its release, when its training ended (microseconds), its catalogue and weights."""

    release_id: str
    train_end: int
    catalogue: Catalogue
    config: RetrievalConfig
    weights: Arrays


def updating(
    config: RetrievalConfig,
    recipe: IncrementalConfig,
    events: Sequence[str],
    data: TrainingData,
    parent: ParentTower,
    checkpoints: str | Path | None = None,
) -> Trainer:
    """A trainer that starts from the parent's weights and learns from what came after its ``train_end``.

    Raises:
        ConfigError: the configuration makes towers of another shape.
        ModelError: nothing new to learn from, or the weights do not fit.
    """
    check_shape("retrieval", SHAPED_BY, config, parent.config)
    short = config.model_copy(update={"epochs": recipe.epochs, "learning_rate": recipe.learning_rate})
    split = data.split
    whole = Examples.of(split.train_log(), data.features, events, split.user_features)
    examples = whole.only(chosen_targets(whole, parent.train_end, recipe.replay, config.seed))
    valid = data.targets("valid", events, config.validation_targets, config.seed)
    carried = carried_codes(parent.catalogue, split.catalogue, config.min_item_count)

    def start(model: TwoTower) -> None:
        start_from(model, parent.weights, Ids(IDS, carried))

    kept = None
    if checkpoints is not None:
        told = f"{parent.release_id} {recipe.replay}"
        kept = Checkpoints.of(checkpoints, checkpoint_key(short, split.fingerprint, told))
    return Trainer(short, data.features, split.catalogue, examples, valid, kept, start)


def chosen_targets(examples: Examples, train_end: int, replay: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which targets to learn from, bool [targets]: all after ``train_end``, of some users those before it.

    Old targets are replayed by whole users, drawn until there are ``replay`` times as many as new ones: a
    window costs the same however few of its targets are asked. Without replay, training on the newest
    forgets the rest (Robins, "Catastrophic forgetting, rehearsal and pseudorehearsal", 1995).
    """
    new = examples.log.times[examples.targets] > train_end
    wanted = replay * np.count_nonzero(new)
    old_by_user = np.bincount(examples.users[~new], minlength=len(examples.log.users))
    order = np.random.default_rng([seed, 7]).permutation(np.flatnonzero(old_by_user))
    before = np.concatenate([[0], np.cumsum(old_by_user[order])[:-1]]) if len(order) else np.empty(0)
    replayed = np.isin(examples.users, order[before < wanted])
    return np.asarray(new | replayed)


def check_shape(section: str, names: Sequence[str], config: Any, parent: Any) -> None:
    """Refuse a configuration whose weights the parent's cannot be.

    Raises:
        ConfigError: naming every value that differs.
    """
    differing = [
        f"{section}.{name} is {getattr(config, name)!r}, the parent's {getattr(parent, name)!r}"
        for name in names
        if getattr(config, name) != getattr(parent, name)
    ]
    if differing:
        raise ConfigError(
            f"{'; '.join(differing)}: an incremental run keeps the shape of the models; "
            "set the parent's values, or train in full with 'slate run'"
        )
