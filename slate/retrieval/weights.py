"""A trained model's weights by the path of their attributes, so that another training can start from them.

Layer names count up with every model of a process; the attributes that hold them do not.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.data.catalogue import Catalogue
from slate.data.features import RESERVED
from slate.errors import ModelError

Arrays = Mapping[str, npt.NDArray[Any]]

#: The attribute of :class:`~slate.retrieval.layers.FeatureEmbedding` whose tables grow with vocabularies.
_TABLES: Final = "_tables"

#: The code of items without an id vector of their own, in every table of ids.
SHARED: Final = 0


class Ids(NamedTuple):
    """The weight at ``path`` has one row an item code; ``carried[code]`` is the parent's code."""

    path: str
    carried: npt.NDArray[np.int32]


def id_codes(counts: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.int32]:
    """By catalogue row the row of its id vector: ``SHARED`` for items with fewer than ``least``."""
    known = counts >= least
    return np.where(known, np.cumsum(known), SHARED).astype(np.int32)


def carried_codes(parent: Catalogue, catalogue: Catalogue, least: int) -> npt.NDArray[np.int32]:
    """For each id code of ``catalogue`` the parent's code of the same item; ``SHARED`` for a new one.

    An item that the parent showed by its content alone so starts as the parent showed it.
    """
    before = id_codes(parent.train_counts, least)
    now = id_codes(catalogue.train_counts, least)
    places = np.asarray([row if row is not None else -1 for row in map(parent.ids.row, catalogue.ids.ids)])
    carried = np.full(int(now.max(initial=0)) + 1, SHARED, np.int32)
    own = (now != SHARED) & (places >= 0)
    carried[now[own]] = before[places[own]]
    return carried


def named_weights(model: Any) -> dict[str, Any]:
    """The trainable variables of a model that is built, by path, such as ``query_tower/_norm/scale``."""
    trainable = {id(variable) for variable in model.trainable_variables}
    found: dict[str, Any] = {}
    met = {id(model)}

    def walk(node: Any, path: str) -> None:
        for name, child in tf.train.TrackableView.children(node).items():
            if id(child) in met:
                continue
            met.add(id(child))
            if isinstance(child, tf.Variable):
                if id(child) in trainable:
                    found[path + name] = child
            else:
                walk(child, f"{path}{name}/")

    walk(model, "")
    if len(found) != len(trainable):
        raise ModelError(
            f"{model.name}: {len(found)} of {len(trainable)} weights can be reached by their attributes; "
            "keep every layer in an attribute"
        )
    return found


def save_weights(model: Any, path: Path, state: Arrays | None = None) -> None:
    """Write the trainable weights, and ``state`` beside them, as one ``.npz`` file."""
    arrays = {name: variable.numpy() for name, variable in named_weights(model).items()}
    np.savez(path, allow_pickle=False, **arrays, **(state or {}))


def load_weights(path: Path) -> dict[str, npt.NDArray[Any]]:
    """What :func:`save_weights` wrote.

    Raises:
        ModelError: there is no such file, or it is none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"weights {path}: cannot be read ({error}); train in full with 'slate run'"
        ) from error


def start_from(model: Any, saved: Arrays, ids: Ids | None) -> None:
    """Set every weight of a built model to the parent's.

    Tables of codes whose vocabulary grew get new rows, the mean of the parent's. Rows of item ids move to
    their items' new codes; new ones start as what items without an id share.

    Raises:
        ModelError: the parent lacks a weight, or has one of another shape.
    """
    for path, variable in named_weights(model).items():
        if path not in saved:
            raise ModelError(
                f"{model.name}: the parent has no weight {path}; it is another model: train in full"
            )
        array = saved[path]
        if ids is not None and path == ids.path:
            array = array[ids.carried]
        grown = _grown(array, variable.shape) if _TABLES in path.split("/") else array
        if grown is None or tuple(grown.shape) != tuple(variable.shape):
            raise ModelError(
                f"{model.name}: weight {path} has the shape {list(variable.shape)}, the parent's "
                f"{list(saved[path].shape)}; use the parent's configuration, or train in full"
            )
        variable.assign(grown)


def _grown(array: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any] | None:
    """The array with as many rows as wanted; None where that would not make it this shape."""
    if tuple(array.shape) == tuple(shape):
        return array
    if array.ndim != 2 or array.shape[1:] != tuple(shape[1:]) or len(array) > shape[0]:
        return None
    trained = array[RESERVED:] if len(array) > RESERVED else array
    added = np.repeat(trained.mean(axis=0, keepdims=True), shape[0] - len(array), axis=0)
    return np.concatenate([array, added]).astype(array.dtype)
