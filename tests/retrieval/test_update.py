"""Starting from a parent's weights: what is carried over, and what is learnt from."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.data.catalogue import TRAIN_COUNT, Catalogue
from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.errors import ModelError
from slate.retrieval.batches import Examples
from slate.retrieval.layers import FeatureEmbedding, LayerNorm
from slate.retrieval.update import chosen_targets
from slate.retrieval.weights import (
    Ids,
    carried_codes,
    id_codes,
    load_weights,
    named_weights,
    save_weights,
    start_from,
)


def catalogue(**counts: int) -> Catalogue:
    table = pa.table({"item_id": list(counts), "title": list(counts), TRAIN_COUNT: list(counts.values())})
    return Catalogue(table)


def test_items_with_too_few_interactions_share_the_first_code() -> None:
    assert id_codes(np.array([3, 0, 1, 2]), least=2).tolist() == [1, 0, 0, 2]


def test_codes_follow_their_items_and_new_ones_start_from_the_shared_one() -> None:
    parent = catalogue(b=2, d=0, e=5)
    now = catalogue(a=1, b=3, c=0, d=1, e=5)
    # Here a, b, d and e have codes 1 to 4; there b and e had 1 and 2.
    assert carried_codes(parent, now, least=1).tolist() == [0, 0, 1, 0, 2]


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)), st.integers(1, 3))
def test_the_same_catalogue_carries_every_code_to_itself(counts: dict[str, int], least: int) -> None:
    same = catalogue(**dict(sorted(counts.items())))
    if len(same):
        carried = carried_codes(same, same, least)
        assert carried.tolist() == list(range(len(carried)))


class Small(tf.keras.Model):
    """An id table, a table that grows with a vocabulary, and plain layers."""

    def __init__(self, ids: int, size: int, wide: int = 3) -> None:
        super().__init__(name="small")
        self.ids = self.add_weight(name="ids", shape=[ids, 2], initializer="uniform")
        self.features = FeatureEmbedding([_Encoder("genre", size)], 2, name="features")  # type: ignore[list-item]
        self.parts = [LayerNorm(), tf.keras.layers.Dense(wide)]
        for part in self.parts:
            part.build(tf.TensorShape([None, 2]))


class _Encoder:
    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size


def test_weights_are_named_by_attributes_whatever_was_made_before(tmp_path: Path) -> None:
    first, second = Small(2, 4), Small(2, 4)
    assert list(named_weights(first)) == list(named_weights(second))
    assert {"ids", "features/_tables/genre", "parts/0/scale", "parts/1/kernel"} <= set(named_weights(first))
    save_weights(first, tmp_path / "w.npz", {"state/x": np.array([7.0])})
    stored = load_weights(tmp_path / "w.npz")
    assert stored.pop("state/x").tolist() == [7.0]
    start_from(second, stored, None)
    for mine, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_grown_tables_keep_their_rows_and_add_the_mean_of_the_trained_ones() -> None:
    parent, now = Small(3, 5), Small(4, 7)
    saved = {name: variable.numpy() for name, variable in named_weights(parent).items()}
    start_from(now, saved, Ids("ids", np.array([0, 2, 0, 1], np.int32)))
    named = named_weights(now)
    table = named["features/_tables/genre"].numpy()
    np.testing.assert_array_equal(table[:5], saved["features/_tables/genre"])
    mean = saved["features/_tables/genre"][2:].mean(axis=0)
    np.testing.assert_allclose(table[5:], [mean, mean], rtol=1e-6)
    np.testing.assert_array_equal(named["ids"].numpy(), saved["ids"][[0, 2, 0, 1]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda saved: saved.pop("parts/1/kernel"), "the parent has no weight parts/1/kernel"),
        (lambda saved: saved.update({"parts/1/kernel": np.zeros((1, 3))}), r"has the shape \[2, 3\]"),
        (lambda saved: saved.update({"features/_tables/genre": np.zeros((9, 2))}), r"parent's \[9, 2\]"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: Any, said: str) -> None:
    model = Small(2, 4)
    saved = {name: variable.numpy() for name, variable in named_weights(model).items()}
    change(saved)
    with pytest.raises(ModelError, match=said):
        start_from(model, saved, None)


def test_a_missing_or_torn_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.npz").write_bytes(b"PK")
    for name in ("absent.npz", "torn.npz"):
        with pytest.raises(ModelError, match=f"weights .*{name}: cannot be read"):
            load_weights(tmp_path / name)


def examples(rows: list[tuple[int, int]]) -> Examples:
    """Targets, each (user, time); the log has an entry a target."""
    rows = sorted(rows)
    users = [user for user, _ in rows]
    count = max(users, default=-1) + 1
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=count))]).astype(np.int64)
    n = len(rows)
    log = UserLog(
        IdMap.of([f"u{user}" for user in range(count)]),
        offsets,
        np.arange(n, dtype=np.int32),
        np.ones(n, np.int16),
        np.array([at for _, at in rows], np.int64),
        np.full(n, np.nan, np.float32),
        np.ones(n, np.float32),
        {},
    )
    targets = np.arange(n, dtype=np.int64)
    return Examples(log, targets, np.array(users, np.int64), targets - 1, {}, {})


@settings(max_examples=60)
@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 40)), min_size=1, max_size=120),
    st.sampled_from([0.0, 0.5, 2.0, 100.0]),
    st.integers(0, 3),
)
def test_all_that_is_new_is_learnt_with_whole_users_of_what_is_old(
    rows: set[tuple[int, int]], replay: float, seed: int
) -> None:
    given_ = examples(list(rows))
    chosen = chosen_targets(given_, 30, replay, seed)
    times, users = given_.log.times, given_.users
    new = times > 30
    assert chosen[new].all()
    for user in set(users[chosen & ~new].tolist()):
        assert chosen[users == user].all(), "users are replayed whole"
    replayed, wanted = int((chosen & ~new).sum()), replay * int(new.sum())
    most = max((int(((users == user) & ~new).sum()) for user in set(users.tolist())), default=0)
    assert replayed < wanted + most or replayed == 0
    assert replayed >= min(wanted, int((~new).sum()))
    np.testing.assert_array_equal(chosen, chosen_targets(given_, 30, replay, seed))


def test_only_chosen_targets_are_asked_and_histories_stay_whole() -> None:
    given_ = examples([(0, 1), (0, 2), (0, 50), (1, 3)])
    fewer = given_.only(chosen_targets(given_, 30, 0.0, 1))
    assert fewer.targets.tolist() == [2]
    (window,) = fewer.windows(8, 8, np.random.default_rng(0))
    assert (window.start, window.stop) == (0, 2)
