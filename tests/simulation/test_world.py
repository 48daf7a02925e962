"""A world is always the same, has a long tail, and writes something of its tastes on its items."""

import numpy as np
import pyarrow.compute as pc
import pytest

from slate import columns
from slate.simulation.past import BEGAN, corrupted, early, write_past
from slate.simulation.world import Size, World, make_world


def test_a_seed_makes_one_world_and_another_seed_another() -> None:
    size = Size(users=110, items=50, days=10, visits=4)
    one, again, other = make_world(size, 4), make_world(size, 4), make_world(size, 5)
    assert np.array_equal(one.tastes.matches, again.tastes.matches)
    assert write_past(one).equals(write_past(again))
    assert not np.array_equal(one.tastes.matches, other.tastes.matches)
    assert not write_past(one).equals(write_past(other))


def test_items_of_a_genre_are_alike_and_tastes_have_length_one(world: World) -> None:
    matches = world.tastes.matches
    assert matches.min() >= -1.000001
    assert matches.max() <= 1.000001
    profile = matches.T - matches.mean(axis=1)
    alike = np.corrcoef(profile)
    same = world.genre[:, None] == world.genre[None, :]
    np.fill_diagonal(alike, np.nan)
    assert np.nanmean(alike[same]) > 0.4 > 0.1 > np.nanmean(alike[~same])


def test_the_log_has_a_long_tail_and_tells_of_tastes(world: World) -> None:
    log = write_past(world)
    counts = np.sort([c["counts"] for c in log[columns.ITEM].value_counts().to_pylist()])[::-1]
    assert counts[: len(counts) // 5].sum() > 0.3 * counts.sum()
    likes = log.filter(pc.equal(log[columns.EVENT], "like"))
    hides = log.filter(pc.equal(log[columns.EVENT], "hide"))
    users = {name: place for place, name in enumerate(world.tastes.users)}
    items = {name: place for place, name in enumerate(world.tastes.items)}

    def match(rows: object) -> float:
        table = rows.to_pydict()  # type: ignore[attr-defined]
        return float(
            np.mean(
                [
                    world.tastes.matches[users[u], items[i]]
                    for u, i in zip(table[columns.USER], table[columns.ITEM], strict=True)
                ]
            )
        )

    assert match(likes) > 0.3 > match(hides)


def test_nobody_meets_an_item_before_it_appeared_or_again_after_acting(world: World) -> None:
    log = write_past(world)
    at = log[columns.TIMESTAMP].to_numpy()
    assert (np.diff(at) >= 0).all()
    appeared = dict(zip(world.tastes.items, world.appeared, strict=True))
    rows = log.to_pylist()
    assert all(row[columns.TIMESTAMP] >= BEGAN + 86_400 * appeared[row[columns.ITEM]] - 1 for row in rows)
    keys = [(row[columns.USER], row[columns.ITEM], row[columns.EVENT]) for row in rows]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("days", [1.0, 7.5])
def test_an_early_log_is_the_beginning_of_the_whole(world: World, days: float) -> None:
    log = write_past(world)
    first = early(log, days)
    assert 0 < len(first) < len(log)
    assert first.equals(log.slice(0, len(first)))
    assert log[columns.TIMESTAMP][len(first)].as_py() >= BEGAN + days * 86_400


def test_a_corrupted_log_names_every_item_by_another_ones_id_and_changes_nothing_else(world: World) -> None:
    log = write_past(world)
    wrong = corrupted(log, 3)
    assert wrong.drop([columns.ITEM]).equals(log.drop([columns.ITEM]))
    renamed = dict(zip(log[columns.ITEM].to_pylist(), wrong[columns.ITEM].to_pylist(), strict=True))
    assert all(old != new for old, new in renamed.items())
    assert set(renamed.values()) == set(renamed), "it is a permutation"
    pairs = set(zip(log[columns.ITEM].to_pylist(), wrong[columns.ITEM].to_pylist(), strict=True))
    assert len(pairs) == len(renamed), "always the same one"
