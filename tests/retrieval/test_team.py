"""Who trains with whom, and which part of a batch each of them makes. Real workers: tests/steps/workers."""

import json
from collections.abc import Callable

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

pytest.importorskip("tensorflow")

from slate.data.sequences import UserLog
from slate.errors import ConfigError
from slate.retrieval.batches import Batch, Examples, Shape, Share
from slate.retrieval.team import ALONE, Team
from tests.retrieval.conftest import catalogue, cycle_rows, space

pa = pytest.importorskip("pyarrow")


def test_without_others_a_process_is_alone() -> None:
    one = json.dumps({"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}})
    assert Team.of(None) is Team.of("") is Team.of(one) is ALONE
    assert (ALONE.alone, ALONE.chief, ALONE.replicas) == (True, True, 1)
    (kept,) = ALONE.chiefs([np.asarray([3.5])])
    assert kept.tolist() == [3.5]


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": -1}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_what_names_no_workers_is_refused(told: str) -> None:
    with pytest.raises(ConfigError, match="TF_CONFIG"):
        Team.of(told)


def examples(log_of: Callable[..., UserLog], users: int, length: int) -> Examples:
    items = catalogue(14)
    names = [f"u{n:02d}" for n in range(users)]
    table = pa.table({"user_id": names, "age": [20.0] * users, "country": ["fr"] * users})
    log = log_of(cycle_rows(users, 14, length), items)
    return Examples.of(log, space(items, table), ("like", "view"), {})


def asked(batches: list[Batch]) -> list[tuple[tuple[int, ...], int]]:
    """What is to be predicted from which history, in an order of its own."""
    found = []
    for batch in batches:
        for query, item, weight in zip(
            batch["target_query"], batch["target_items"], batch["target_weights"], strict=True
        ):
            if weight:
                row, column = batch["query_row"][query], batch["query_column"][query]
                seen = batch["history_items"][row][:column] if column else ()
                found.append((tuple(int(i) for i in seen), int(item)))
    return sorted(found)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("shape", [Shape(4, 8, 32, 64), Shape(4, 8, 9, 18)])
def test_the_parts_of_an_epoch_are_the_epoch(
    log_of: Callable[..., UserLog], count: int, shape: Shape
) -> None:
    made = examples(log_of, users=29, length=9)
    whole = list(made.batches(shape, 4, [7, 1]))
    parts = [list(made.batches(shape, 4, [7, 1], Share(n, n + 1, count))) for n in range(count)]
    assert len({len(part) for part in parts}) == 1
    assert len(parts[0]) == made.count(shape, 4, [7, 1], count)
    assert asked(whole) == asked([batch for part in parts for batch in part])
    # Each part is as large as the shape allows before another batch begins: none waits for the others.
    filled = [[int(batch["target_weights"].sum()) for batch in part] for part in parts]
    full = np.asarray(filled)[:, :-1]
    assert np.all(full.max(axis=0) - full.min(axis=0) <= 9)


def test_one_process_with_two_devices_makes_both_parts_in_turn(log_of: Callable[..., UserLog]) -> None:
    made = examples(log_of, users=12, length=9)
    shape = Shape(2, 8, 16, 32)
    both = list(made.batches(shape, 8, [1], Share(1, 3, 3)))
    second, third = (list(made.batches(shape, 8, [1], Share(n, n + 1, 3))) for n in (1, 2))
    for got, wanted in zip(
        both, [batch for pair in zip(second, third, strict=True) for batch in pair], strict=True
    ):
        for name, array in wanted.items():
            np.testing.assert_array_equal(got[name], array)
