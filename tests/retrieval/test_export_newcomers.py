"""Exported towers say of an item by its content alone what the trained ones say of an unseen one."""

from pathlib import Path

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.retrieval.export import ServedNewcomers  # noqa: E402
from slate.retrieval.query import EMBEDDING, add_rows, put_rows  # noqa: E402
from slate.retrieval.towers import CandidateTower  # noqa: E402
from tests.retrieval.test_towers import KIND, TAGS, YEAR, candidates  # noqa: E402


def answered(tower: CandidateTower, folder: Path, rows: list[int]) -> np.ndarray:
    """Of these rows' content, by the tower as it is when it is read again."""
    served = ServedNewcomers(tower)
    tf.saved_model.save(served, str(folder), signatures={"candidate": served.serve})
    given = {f"item_{name}": tf.constant(array[rows]) for name, array in tower.content.items()}
    loaded = tf.saved_model.load(str(folder))
    found: np.ndarray = loaded.signatures["candidate"](items=tf.zeros([len(rows)], tf.int32), **given)[
        EMBEDDING
    ].numpy()
    return found


def test_a_new_item_stands_where_an_unknown_one_of_its_content_does(tmp_path: Path) -> None:
    tower = candidates((KIND, TAGS, YEAR))
    table = tower.table().numpy()
    rare = [3, 2, 4]
    np.testing.assert_allclose(answered(tower, tmp_path, rare), table[rare], atol=1e-6)
    apart = answered(tower, tmp_path, [0])
    assert np.abs(apart - table[[0]]).max() > 1e-3, "its own id is not part of it"


def test_without_features_all_new_items_stand_where_unknown_ones_do(tmp_path: Path) -> None:
    tower = candidates(())
    np.testing.assert_allclose(answered(tower, tmp_path, [0, 1]), tower.table().numpy()[[3, 4]], atol=1e-6)


def test_a_table_grows_and_what_was_there_stays(tmp_path: Path) -> None:
    module = tf.Module()
    module.table = tf.Variable(np.eye(2, 3, dtype=np.float32), shape=[None, 3], trainable=False)
    tf.saved_model.save(module, str(tmp_path))
    table = tf.saved_model.load(str(tmp_path)).table
    add_rows(table, 0)
    add_rows(table, 2)
    put_rows(table, np.asarray([3, 2], np.int32), np.asarray([[1, 2, 3], [4, 5, 6]], np.float32))
    np.testing.assert_array_equal(table.numpy(), [[1, 0, 0], [0, 1, 0], [4, 5, 6], [1, 2, 3]])
