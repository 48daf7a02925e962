from collections.abc import Mapping

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.config import FeatureKind  # noqa: E402
from slate.data.features import FeatureEncoder  # noqa: E402
from slate.retrieval.layers import FeatureEmbedding, drop  # noqa: E402
from slate.retrieval.towers import CandidateTower, QueryTower  # noqa: E402

DIM = 8
KIND = FeatureEncoder("kind", FeatureKind.CATEGORICAL, vocabulary=("film", "series"))
TAGS = FeatureEncoder("tags", FeatureKind.CATEGORICAL_LIST, vocabulary=("a", "b", "c"), width=3)
YEAR = FeatureEncoder("year", FeatureKind.NUMERIC)


@pytest.fixture
def tower() -> QueryTower:
    tf.keras.utils.set_random_seed(5)
    made = QueryTower(events=2, users=(), context=(), dim=DIM, blocks=2, heads=2, reach=4, dropout=0.0)
    states(made, [[1]], [[1]])
    # Untrained biases are zero: make them matter.
    for number, weight in enumerate(made.trainable_variables):
        weight.assign_add(tf.random.stateless_normal(weight.shape, [number, 9]) * 0.3)
    return made


TABLE = np.random.default_rng(2).normal(size=(12, DIM)).astype(np.float32)


def states(
    tower: QueryTower, items: list[list[int]], events: list[list[int]], last_only: bool = False
) -> np.ndarray:
    return tower.states(
        tf.constant(items), tf.constant(events), lambda rows: tf.gather(TABLE, rows), last_only=last_only
    ).numpy()


def test_later_items_change_no_earlier_state(tower: QueryTower) -> None:
    before = states(tower, [[3, 7, 1, 9]], [[1, 2, 1, 1]])
    after = states(tower, [[3, 7, 11, 2]], [[1, 2, 2, 2]])
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3:] - after[:, 3:]).min(axis=-1).max() > 1e-3


def test_padding_changes_nothing(tower: QueryTower) -> None:
    short = states(tower, [[3, 7, 1]], [[1, 2, 1]])
    long = states(tower, [[0, 0, 0, 0, 3, 7, 1]], [[0, 0, 0, 0, 1, 2, 1]])
    np.testing.assert_allclose(long[:, [0, 5, 6, 7]], short, atol=1e-5)


def test_the_last_position_alone_is_the_last_of_all(tower: QueryTower) -> None:
    items, events = [[0, 3, 7, 1], [5, 2, 9, 4]], [[0, 1, 2, 1], [1, 1, 2, 2]]
    np.testing.assert_allclose(
        states(tower, items, events, last_only=True)[:, 0], states(tower, items, events)[:, -1], atol=1e-6
    )


def test_an_empty_history_has_the_start_tokens_state(tower: QueryTower) -> None:
    empty = states(tower, [[0, 0, 0]], [[0, 0, 0]], last_only=True)[0, 0]
    np.testing.assert_allclose(empty, states(tower, [[3, 7]], [[1, 1]])[0, 0], atol=1e-6)
    assert np.all(np.isfinite(empty))


def test_order_and_events_matter(tower: QueryTower) -> None:
    base = states(tower, [[3, 7, 1]], [[1, 2, 1]])[0, -1]
    assert np.abs(states(tower, [[7, 3, 1]], [[2, 1, 1]])[0, -1] - base).max() > 1e-3
    assert np.abs(states(tower, [[3, 7, 1]], [[1, 1, 1]])[0, -1] - base).max() > 1e-3


def test_query_head_uses_user_context_and_elapsed_time() -> None:
    tower = QueryTower(
        events=1, users=(YEAR,), context=(KIND,), dim=DIM, blocks=1, heads=1, reach=2, dropout=0.0
    )
    state = tf.ones([2, DIM])

    def head(elapsed: float, year: float, kind: int) -> np.ndarray:
        users = {"year": tf.constant([[year, 0.0]] * 2)}
        return tower.head(
            state * tf.range(DIM, dtype=tf.float32),
            tf.constant([elapsed] * 2),
            users,
            {"kind": tf.constant([kind] * 2)},
        ).numpy()

    base = head(1.0, 0.5, 2)
    assert base.shape == (2, DIM)
    for changed in (head(9.0, 0.5, 2), head(1.0, -2.5, 2), head(1.0, 0.5, 3)):
        assert not np.array_equal(base, changed)


def candidates(encoders: tuple[FeatureEncoder, ...], id_dropout: float = 0.0) -> CandidateTower:
    content: Mapping[str, np.ndarray] = {
        "kind": np.asarray([2, 3, 2, 3, 2], np.int32),
        "tags": np.asarray([[2, 3, 0], [4, 0, 0], [2, 3, 0], [0, 0, 0], [2, 3, 0]], np.int32),
        "year": np.asarray([[0.5, 0], [-1, 0], [0.5, 0], [0, 1], [0.5, 0]], np.float32),
    }
    kept = {encoder.name: content[encoder.name] for encoder in encoders}
    return CandidateTower(
        kept, encoders, np.asarray([9, 4, 1, 0, 0]), dim=DIM, min_count=2, id_dropout=id_dropout
    )


def test_rare_items_share_the_unknown_id_and_differ_by_content() -> None:
    tower = candidates((KIND, TAGS, YEAR))
    assert tower.ids.shape == (3, DIM)
    table = tower.table().numpy()
    np.testing.assert_array_equal(table[2], table[4])
    assert np.abs(table[2] - table[3]).max() > 1e-3
    assert np.abs(table[0] - table[2]).max() > 1e-3


def test_items_without_content_are_their_ids() -> None:
    tower = candidates(())
    np.testing.assert_array_equal(tower.table().numpy(), tower.ids.numpy()[[1, 2, 0, 0, 0]])


def test_id_dropout_shows_the_unknown_id_only_while_training() -> None:
    tower = candidates((), id_dropout=0.5)
    rows = tf.zeros([4000], tf.int32)
    shown = tower(rows, seed=tf.constant([1, 2])).numpy()
    unknown = np.all(shown == tower.ids.numpy()[0], axis=1)
    assert unknown.mean() == pytest.approx(0.5, abs=0.03)
    assert not np.any(np.all(tower(rows).numpy() == tower.ids.numpy()[0], axis=1))


def test_feature_embedding_sums_lookups_means_and_products() -> None:
    layer = FeatureEmbedding((KIND, TAGS, YEAR), 2, name="features")
    tables = {w.name.split(":")[0].rpartition("/")[2]: w for w in layer.weights}
    tables["table_kind"].assign([[0, 0], [0, 0], [10, 20], [30, 40]])
    tables["table_tags"].assign([[900, 900], [0, 0], [1, 2], [3, 4], [5, 6]])
    tables["kernel_year"].assign([[0.5, 1.0], [7.0, 8.0]])
    out = layer(
        {
            "kind": tf.constant([3, 2]),
            "tags": tf.constant([[2, 4, 0], [0, 0, 0]]),
            "year": tf.constant([[2.0, 0.0], [0.0, 1.0]]),
        }
    )
    np.testing.assert_allclose(out.numpy(), [[30 + 3 + 1, 40 + 4 + 2], [10 + 0 + 7, 20 + 0 + 8]])


def test_dropout_repeats_by_seed_and_keeps_the_mean() -> None:
    values = tf.ones([20_000])
    first = drop(values, 0.25, tf.constant([3, 1]), 4).numpy()
    np.testing.assert_array_equal(first, drop(values, 0.25, tf.constant([3, 1]), 4).numpy())
    assert not np.array_equal(first, drop(values, 0.25, tf.constant([3, 2]), 4).numpy())
    assert not np.array_equal(first, drop(values, 0.25, tf.constant([3, 1]), 5).numpy())
    assert first.mean() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_array_equal(drop(values, 0.25, None, 4).numpy(), values.numpy())
