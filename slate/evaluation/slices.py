"""Slices: parts of the targets that a mean over everything can hide.

A slice is a mask over targets. Cold users and new items are always there; each sensitive attribute
adds one slice a value, or one a quartile where it is numeric, and one for users without a value.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from slate.evaluation.targets import Targets

#: The slice that holds every target.
ALL: Final = "all"
COLD_USERS: Final = "cold users"
NEW_ITEMS: Final = "new items"

MISSING: Final = "missing"
OTHER: Final = "other values"

#: A numeric attribute with no more distinct values than this is taken value by value.
_FEW: Final = 4


@dataclass(frozen=True)
class Slice:
    """A named part of the targets. ``attribute`` groups slices, ``label`` is the value in words.

    ``mask`` is bool [targets].
    """

    name: str
    attribute: str
    label: str
    mask: npt.NDArray[np.bool_]


def standard_slices(
    targets: Targets,
    train_counts: npt.NDArray[np.int64],
    *,
    cold_user_history: int,
    new_item_count: int,
) -> list[Slice]:
    """Everything, cold users (at prediction time) and new items (by training count of the target)."""
    return [
        Slice(ALL, ALL, "all targets", np.ones(len(targets), np.bool_)),
        Slice(
            COLD_USERS,
            COLD_USERS,
            f"fewer than {cold_user_history} interactions before",
            targets.history_lengths < cold_user_history,
        ),
        Slice(
            NEW_ITEMS,
            NEW_ITEMS,
            f"at most {new_item_count} training interactions",
            train_counts[targets.items] <= new_item_count,
        ),
    ]


def attribute_slices(
    targets: Targets, attribute: str, values: Mapping[str, object], limit: int
) -> list[Slice]:
    """One slice a value of a user attribute; ``values`` is by user id, absent users count as missing.

    Numbers are cut at their quartiles over the users here. Of more than ``limit`` values the rarest
    share one slice. Empty slices are left out.
    """
    labels, order = value_labels([values.get(user) for user in targets.users.ids], limit)
    by_target = np.asarray(labels, dtype=object)[targets.user_codes]
    return [
        Slice(f"{attribute}: {label}", attribute, label, np.asarray(by_target == label, np.bool_))
        for label in order
    ]


class ValueLabels(NamedTuple):
    """A label for each value, and the distinct labels in reading order."""

    labels: list[str]
    order: list[str]


def value_labels(values: Sequence[object], limit: int) -> ValueLabels:
    """A readable label for each raw value; other and missing values come last in the order.

    >>> value_labels(["M", None, "F", "M", float("nan")], limit=10)
    ValueLabels(labels=['M', 'missing', 'F', 'M', 'missing'], order=['F', 'M', 'missing'])
    >>> value_labels(["a", "a", "b", "c"], limit=2).labels
    ['a', 'a', 'other values', 'other values']
    >>> value_labels([20, 30, 40, 50, 60, 70, 80, 90], limit=10).order
    ['up to 37.5', 'over 37.5 up to 55', 'over 55 up to 72.5', 'over 72.5']
    """
    numbers = [_number(v) for v in values]
    present = [n for n in numbers if n is not None]
    if _numeric(values) and len(set(present)) > _FEW:
        edges = sorted({float(e) for e in np.quantile(present, [0.25, 0.5, 0.75])} - {max(present)})
        names = _edge_names(edges)
        labels = [MISSING if n is None else names[int(np.searchsorted(edges, n))] for n in numbers]
        return ValueLabels(labels, _order(labels, names))
    texts = [None if _missing(v) else _text(v) for v in values]
    counts = Counter(t for t in texts if t is not None)
    if len(counts) > limit:
        kept = set(sorted(counts, key=lambda t: (-counts[t], t))[: limit - 1])
        texts = [t if t is None or t in kept else OTHER for t in texts]
    labels = [MISSING if t is None else t for t in texts]
    return ValueLabels(labels, _order(labels, sorted(counts)))


def item_groups(values: Sequence[object], limit: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Which items have each value, bool [items] by label in reading order; see :func:`value_labels`.

    An item with a list of values is in several groups, and with an empty list in that of missing values.

    >>> {k: v.tolist() for k, v in item_groups([["a", "b"], ["b"], None], limit=9).items()}
    {'a': [True, False, False], 'b': [True, True, False], 'missing': [False, False, True]}
    """
    listed = [list(value) if isinstance(value, list | tuple) else [value] for value in values]
    pairs = [(row, value) for row, parts in enumerate(listed) for value in (parts or [None])]
    labels, order = value_labels([value for _, value in pairs], limit)
    groups = {label: np.zeros(len(values), np.bool_) for label in order}
    for (row, _), label in zip(pairs, labels, strict=True):
        groups[label][row] = True
    return groups


def _order(labels: Sequence[str], names: Sequence[str]) -> list[str]:
    used = set(labels)
    return [n for n in names if n in used - {OTHER, MISSING}] + [n for n in (OTHER, MISSING) if n in used]


def _edge_names(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["all values"]
    shown = [f"{e:g}" for e in edges]
    between = [f"over {a} up to {b}" for a, b in pairwise(shown)]
    return [f"up to {shown[0]}", *between, f"over {shown[-1]}"]


def _numeric(values: Sequence[object]) -> bool:
    kinds = [v for v in values if not _missing(v)]
    return bool(kinds) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in kinds)


def _missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))


def _number(value: object) -> float | None:
    if _missing(value) or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
