from collections.abc import Callable
from pathlib import Path

import pytest

from slate.errors import DataError
from slate.retrieval.training_data import TrainingData

TARGETS = ["like", "view"]


@pytest.fixture
def splits(write_splits: Callable[..., Path]) -> Path:
    train = [("a", "i00", "like", 10), ("a", "i01", "hide", 20), ("b", "i02", "view", 12)]
    valid = [("a", "i02", "like", 30), ("a", "i03", "hide", 31), ("b", "i02", "view", 32)]
    test = [("a", "i04", "view", 40), ("b", "i01", "like", 40), ("c", "i00", "like", 41)]
    return write_splits(train, valid, test, items=5)


def test_targets_are_new_target_events_with_all_that_came_before(splits: Path) -> None:
    data = TrainingData.open(splits)
    valid = data.targets("valid", TARGETS, 100, 1)
    # The hide is no target, and b has had i02 already.
    assert valid.items.tolist() == [2]
    (query,) = valid.queries
    assert query.history.items.tolist() == [0, 1]
    assert (query.at, query.user["age"]) == (30_000_000, 20.0)
    test = data.targets("test", TARGETS, 100, 1)
    found = {int(item): q.history.items.tolist() for item, q in zip(test.items, test.queries, strict=True)}
    assert found == {4: [0, 1, 2, 3], 1: [2, 2], 0: []}


def test_a_limit_samples_targets_by_seed(splits: Path) -> None:
    data = TrainingData.open(splits)
    assert len(data.targets("test", TARGETS, 2, 1)) == 2
    samples = {tuple(data.targets("test", TARGETS, 1, seed).items.tolist()) for seed in range(20)}
    assert len(samples) > 1


def test_a_planted_later_event_changes_no_query(splits: Path, write_splits: Callable[..., Path]) -> None:
    train = [("a", "i00", "like", 10), ("a", "i01", "hide", 20), ("b", "i02", "view", 12)]
    planted = [("a", "i02", "like", 30), ("a", "i04", "like", 30), ("b", "i03", "like", 99)]
    other = write_splits(train, planted, planted, items=5, name="planted")
    before = TrainingData.open(splits).targets("valid", TARGETS, 100, 1)
    after = TrainingData.open(other).targets("valid", TARGETS, 100, 1)
    (query,) = before.queries
    (same,) = (q for q, item in zip(after.queries, after.items, strict=True) if item == 2)
    assert query.history.items.tolist() == same.history.items.tolist()
    assert query.history.times.tolist() == same.history.times.tolist()


def test_a_missing_file_is_named(splits: Path) -> None:
    (splits / "valid.parquet").unlink()
    with pytest.raises(DataError, match=r"valid\.parquet is missing; run the split step"):
        TrainingData.open(splits)
