"""Inputs by the names that users know them by, and shuffling them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from slate.ranking.explain.asking import Asked, Int64, Mask
from slate.retrieval.query import (
    CONTEXT_PREFIX,
    HISTORY_AGES,
    HISTORY_EVENTS,
    HISTORY_ITEMS,
    USER_PREFIX,
)

ITEM: Final = "item"
USER: Final = "user"
CONTEXT: Final = "context"
HISTORY: Final = "history"
RETRIEVAL: Final = "retrieval"

POPULARITY: Final = "training popularity"
IDENTITY: Final = "id and vector"
SCORE: Final = "score"
ITEMS: Final = "items"
EVENTS: Final = "events"
AGES: Final = "ages"
LENGTH: Final = "length"

_HISTORY: Final = {ITEMS: HISTORY_ITEMS, EVENTS: HISTORY_EVENTS, AGES: HISTORY_AGES}
_PREFIXES: Final = {USER: USER_PREFIX, CONTEXT: CONTEXT_PREFIX}


Array = TypeVar("Array", bound=npt.NDArray[Any])


class Inputs(NamedTuple):
    """One or several inputs of one group, shuffled together, under one name."""

    group: str
    name: str
    names: tuple[str, ...]


def inputs_of(asked: Asked) -> list[Inputs]:
    """Every input of the model alone, then those of a group together where it has several.

    A shuffled history keeps its length in all but ``history: everything``, where whole histories change
    places. ``id and vector`` is what the model learnt of an item besides its features.
    """
    content = tuple(sorted(asked.content))
    groups = {RETRIEVAL: (SCORE,), HISTORY: tuple(_HISTORY), ITEM: (*content, POPULARITY, IDENTITY)}
    for group, prefix in _PREFIXES.items():
        groups[group] = tuple(sorted(n.removeprefix(prefix) for n in asked.query if n.startswith(prefix)))
    alone = [Inputs(group, name, (name,)) for group, names in groups.items() for name in names]
    together = [Inputs(ITEM, "all features", content)] if len(content) > 1 else []
    together += [Inputs(group, "everything", names) for group, names in groups.items() if len(names) > 1]
    return alone + together


def shuffled(asked: Asked, inputs: Inputs, rng: np.random.Generator) -> Asked:
    """The same questions with some inputs taken from other rows.

    Inputs of candidates come from any candidate of any request, those of users, of the context and whole
    histories from another request, parts of a history from any place in any history.
    """
    if inputs.group in (ITEM, RETRIEVAL):
        order = rng.permutation(int(asked.present.sum()))
        if inputs.group == ITEM:
            return _items(asked, inputs.names, order)
        scores, ranks = (_moved(array, asked.present, order) for array in (asked.scores, asked.ranks))
        return replace(asked, scores=scores, ranks=ranks)
    if inputs.group == HISTORY and len(inputs.names) == 1:
        return _history(asked, _HISTORY[inputs.names[0]], rng)
    if inputs.group == HISTORY:
        names: Collection[str] = _HISTORY.values()
    else:
        names = [_PREFIXES[inputs.group] + name for name in inputs.names]
    others = rng.permutation(len(asked))
    return replace(asked, query={**asked.query, **{name: asked.query[name][others] for name in names}})


def _moved(array: Array, present: Mask, order: Int64) -> Array:
    """An array [n, c, ...] with the candidates that are there in another order."""
    moved: Array = array.copy()
    moved[present] = array[present][order]
    return moved


def _items(asked: Asked, names: Sequence[str], order: Int64) -> Asked:
    content = {
        name: _moved(array, asked.present, order) if name in names else array
        for name, array in asked.content.items()
    }
    popularity, identity = asked.popularity, asked.identity
    if POPULARITY in names:
        popularity = _moved(popularity, asked.present, order)
    if IDENTITY in names:
        identity = _moved(identity, asked.present, order)
    return replace(asked, content=content, popularity=popularity, identity=identity)


def _history(asked: Asked, name: str, rng: np.random.Generator) -> Asked:
    there = np.asarray(asked.query[HISTORY_ITEMS]) > 0
    moved = asked.query[name].copy()
    moved[there] = rng.permutation(moved[there])
    return replace(asked, query={**asked.query, name: moved})
