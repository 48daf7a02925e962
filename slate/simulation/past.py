"""What happened before: the log that releases are trained on, made by a recommender of long ago."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate import columns
from slate.simulation.tastes import WEIGHTS, looks
from slate.simulation.world import World

SHOWN: Final = 10
#: The first instant of every log, in seconds since 1970.
BEGAN: Final = 1_760_000_000
_DAY: Final = 86_400
#: How much of what that recommender showed followed the user's taste.
_PERSONAL: Final = 2.5


def write_past(world: World) -> pa.Table:
    """The whole log, by time: user_id, item_id, event and timestamp (seconds since 1970).

    Each visit shows ``SHOWN`` items that the user has done nothing with yet, drawn by popularity and a little
    by taste (Gumbel's top-k trick). The user acts by the same tastes as later on.
    """
    generator = np.random.default_rng([world.seed, 1])
    users, items = world.size.users, world.size.items
    times = _visits(world, generator)
    known = np.zeros((users, items), dtype=bool)
    probabilities = _probabilities(world)
    rows: list[tuple[npt.NDArray[np.int64], ...]] = []
    for turn in range(times.shape[1]):
        who = np.flatnonzero(np.isfinite(times[:, turn]))
        day = times[who, turn]
        shown = _slates(world, generator, who, known[who] | (world.appeared > day[:, None]))
        looked = generator.random(shown.shape) < [looks(position) for position in range(1, SHOWN + 1)]
        for number in range(len(WEIGHTS)):
            likely = probabilities[number][who[:, None], shown]
            row, place = np.nonzero(looked & (generator.random(shown.shape) < likely))
            item = shown[row, place]
            known[who[row], item] = True
            second = np.round(day[row] * _DAY).astype(np.int64) + 30 * place + number
            rows.append((who[row], item, np.full(len(row), number), BEGAN + second))
    user, item, event, at = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.lexsort((event, item, user, at))
    names = np.array(list(WEIGHTS))
    return pa.table(
        {
            columns.USER: np.array(world.tastes.users)[user[order]],
            columns.ITEM: np.array(world.tastes.items)[item[order]],
            columns.EVENT: names[event[order]],
            columns.TIMESTAMP: at[order],
        }
    )


def early(log: pa.Table, days: float) -> pa.Table:
    """The first days of a log."""
    at = log[columns.TIMESTAMP].to_numpy()
    return log.filter(pa.array(at < BEGAN + days * _DAY))


def corrupted(log: pa.Table, seed: int) -> pa.Table:
    """The same log after a join that went wrong: every item under another's id, always the same one.

    It contradicts itself nowhere, so nothing offline can tell: what it says was liked just is not what was.
    """
    names = sorted(set(log[columns.ITEM].to_pylist()))
    # A cycle: no item keeps its own id.
    order = np.random.default_rng([seed, 2]).permutation(len(names))
    other = {names[here]: names[there] for here, there in zip(order, np.roll(order, 1), strict=True)}
    items = pa.array([other[name] for name in log[columns.ITEM].to_pylist()])
    return log.set_column(log.schema.get_field_index(columns.ITEM), columns.ITEM, items)


def _visits(world: World, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """When each user came, in days: [users, visits], NaN behind a user's last one."""
    counts = np.maximum(generator.poisson(world.size.visits * world.activity), 1)
    times = np.sort(generator.random((len(counts), counts.max())) * world.size.days, axis=1)
    keep = np.arange(counts.max()) < counts[:, None]
    # Any `counts` of the sorted times would crowd the early days: draw anew which ones.
    chosen = np.argsort(generator.random(times.shape), axis=1).argsort(axis=1) < counts[:, None]
    found = np.full(times.shape, np.nan)
    found[keep] = times[chosen]
    return found


def _slates(
    world: World, generator: np.random.Generator, who: npt.NDArray[np.int64], barred: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Items for these users: [users, SHOWN], best first."""
    drawn = world.attraction + _PERSONAL * world.tastes.matches[who] + generator.gumbel(size=barred.shape)
    drawn[barred] = -np.inf
    best = np.argpartition(-drawn, SHOWN, axis=1)[:, :SHOWN]
    order = np.argsort(-np.take_along_axis(drawn, best, axis=1), axis=1)
    return np.asarray(np.take_along_axis(best, order, axis=1), dtype=np.int64)


def _probabilities(world: World) -> npt.NDArray[np.float64]:
    """[events, users, items]."""
    each = [world.tastes.probabilities(user) for user in range(world.size.users)]
    return np.array([[found[event] for found in each] for event in WEIGHTS])
