"""Slates as columns of values: of who asked, of what they asked, and of what was shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.data.catalogue import TRAIN_COUNT
from slate.data.values import number, spelled
from slate.monitoring.log import POSITION, RUNG, SHOWN, contexts
from slate.monitoring.shares import Codes, Floats, Values
from slate.recommend.online.ladder import PERSONALISED

USER_FEATURES: Final = "user_features"
CONTEXT: Final = "context"
SHOWN_FEATURES: Final = "shown_features"
SHOWN_ITEMS: Final = "shown_items"
SCORES: Final = "scores"
#: A user's feature that every release has: how many of the user's interactions it ships.
HISTORY: Final = "history length"

_KEYS: Final = (columns.ITEM, columns.USER, columns.TITLE, TRAIN_COUNT)
_POSITIONS: Final = (1, 2, 4, 11)


@dataclass(frozen=True)
class Known:
    """The items and users of a release: tables with ``item_id`` or ``user_id`` and the raw features."""

    items: pa.Table
    users: pa.Table


def observed(exposures: pa.Table, known: Known, context: Sequence[str]) -> Iterator[tuple[str, str, Values]]:
    """Name of the figure, its subject, and the values.

    Users' features are of the users that the release knows; what is shown is judged by personalised slates
    alone, since the rungs below are counted elsewhere.

    Args:
        context: the features of requests to look at.
    """
    users = codes_of(exposures[columns.USER])
    at = pc.index_in(exposures[columns.USER].combine_chunks(), known.users[columns.USER].combine_chunks())
    old = at.is_valid()
    of_users = _features(known.users, at.filter(old), users[old.to_numpy(False)])
    yield from ((USER_FEATURES, name, found) for name, found in of_users)
    asked = contexts(exposures) if context else []
    for name in context:
        yield CONTEXT, name, Values(users, _plain([request.get(name) for request in asked]))
    personal = pc.equal(exposures[RUNG], PERSONALISED).to_numpy()
    shown = places(exposures.filter(pa.array(personal)))
    owners = users[personal][shown["slate"].to_numpy()]
    items = shown[columns.ITEM].combine_chunks()
    yield SHOWN_ITEMS, "", Values(owners, items)
    at = pc.index_in(items, known.items[columns.ITEM].combine_chunks())
    yield from ((SHOWN_FEATURES, name, found) for name, found in _features(known.items, at, owners))
    positions = shown[POSITION].to_numpy()
    scores = shown[columns.SCORE].to_numpy()
    for first, beyond in zip(_POSITIONS, (*_POSITIONS[1:], None), strict=True):
        here = (positions >= first) & (positions < (beyond or np.inf))
        if here.any():
            yield SCORES, group_name(first, beyond), Values(owners[here], scores[here])


def places(exposures: pa.Table) -> pa.Table:
    """A row an item shown: ``slate`` (the row of its exposure), item_id, score and position."""
    lists = exposures[SHOWN].combine_chunks()
    flat = pc.list_flatten(lists)
    return pa.table(
        {
            "slate": pc.list_parent_indices(lists),
            columns.ITEM: pc.struct_field(flat, columns.ITEM),
            columns.SCORE: pc.fill_null(pc.struct_field(flat, columns.SCORE), float("nan")),
            POSITION: pc.fill_null(pc.struct_field(flat, POSITION), 0),
        }
    )


def codes_of(users: pa.ChunkedArray) -> Codes:
    """Dense codes of users, in no order that means anything."""
    encoded = users.combine_chunks().dictionary_encode()
    codes: Codes = encoded.indices.to_numpy(False).astype(np.int64)
    return codes


def group_of(positions: Codes) -> Codes:
    """The group of each position, 0 for the first."""
    return np.searchsorted(_POSITIONS, positions, side="right") - 1


def group_name(first: int, beyond: int | None) -> str:
    """How a group of positions is called.

    >>> group_name(1, 2), group_name(4, 11), group_name(11, None)
    ('position 1', 'positions 4 to 10', 'positions from 11')
    """
    if beyond is None:
        return f"positions from {first}"
    return f"position {first}" if beyond == first + 1 else f"positions {first} to {beyond - 1}"


def group_names() -> tuple[str, ...]:
    """All groups of positions, in their order."""
    return tuple(group_name(*each) for each in zip(_POSITIONS, (*_POSITIONS[1:], None), strict=True))


def _features(table: pa.Table, at: pa.Array, owners: Codes) -> Iterator[tuple[str, Values]]:
    for name in table.column_names:
        if name not in _KEYS and not name.startswith("__"):
            yield name, _taken(table[name].combine_chunks(), at, owners)


def _taken(column: pa.Array, at: pa.Array, owners: Codes) -> Values:
    """A column's values at these rows; a list brings one row an entry, an empty one a missing value."""
    found = column.take(at)
    if pa.types.is_list(found.type) or pa.types.is_large_list(found.type):
        empty = pc.fill_null(pc.equal(pc.list_value_length(found), 0), True).to_numpy(False)
        entries = _typed(pc.list_flatten(found))
        owned = owners[pc.list_parent_indices(found).to_numpy(False)]
        nothing = np.full(int(empty.sum()), np.nan) if isinstance(entries, np.ndarray) else None
        if nothing is not None:
            return Values(np.r_[owned, owners[empty]], np.r_[entries, nothing])
        without = pa.nulls(int(empty.sum()), pa.string())
        return Values(np.r_[owned, owners[empty]], pa.concat_arrays([entries, without]))
    return Values(owners, _typed(found))


def _typed(column: pa.Array) -> Floats | pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
        kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers: Floats = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan")).to_numpy(False)
        return numbers
    return column.cast(pa.string())


def _plain(values: Sequence[Any]) -> Floats | pa.Array:
    """What requests say: numbers where all are, else text as categories are spelled."""
    present = [value for value in values if value is not None]
    if present and all(isinstance(v, int | float) and not isinstance(v, bool) for v in present):
        return np.asarray([number(value) for value in values], np.float64)
    return pa.array([spelled(value) or None for value in values], pa.string())


def like(values: Values, numeric: bool) -> Values:
    """The values in the form that a release's distribution has, however requests write them now."""
    if isinstance(values.values, np.ndarray) == numeric:
        return values
    if isinstance(values.values, np.ndarray):
        names = [spelled(value) or None for value in values.values.tolist()]
        return Values(values.users, pa.array(names, pa.string()))
    return Values(values.users, np.asarray([number(v) for v in values.values.to_pylist()], np.float64))


def weights_of(outcomes: pa.Table, events: Mapping[str, Any]) -> Floats:
    """What each outcome is worth, 0 for events that the release does not know."""
    names = outcomes[columns.EVENT].to_pylist()
    values = outcomes[columns.VALUE].to_pylist()
    found = np.zeros(len(names), np.float64)
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        event = events.get(name)
        if event is not None:
            found[row] = event.weight * ((value or 0.0) if event.weight_by == "value" else 1.0)
    return found
