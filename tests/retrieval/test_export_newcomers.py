"""Exported towers say of an item by its content alone what the trained ones say of an unseen one."""

from pathlib import Path

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

pytest.importorskip("tensorflow")

from slate.litert.function import LiteFunction
from slate.retrieval.export import ServedNewcomers
from slate.retrieval.query import EMBEDDING
from slate.retrieval.towers import CandidateTower
from tests.retrieval.test_towers import KIND, TAGS, YEAR, candidates


def answered(tower: CandidateTower, folder: Path, rows: list[int]) -> np.ndarray:
    """Of these rows' content, by the tower as it is when it is read again."""
    ServedNewcomers(tower).save(folder / "candidate.tflite")
    given = {f"item_{name}": array[rows] for name, array in tower.content.items()}
    function = LiteFunction(folder / "candidate.tflite")
    return function({"items": np.zeros(len(rows), np.int32), **given})[EMBEDDING]


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
