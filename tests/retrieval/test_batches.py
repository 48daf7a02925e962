from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

pytest.importorskip("tensorflow")

from slate.config import Feature, FeatureKind
from slate.data.catalogue import Catalogue
from slate.data.features import FeatureSpace, fit_encoders
from slate.data.sequences import UserLog
from slate.retrieval.batches import Batch, Examples, Shape

Row = tuple[str, str, str, int]
LogOf = Callable[[Sequence[Row], Catalogue], UserLog]

ITEMS = Catalogue(
    pa.table({"item_id": [f"i{n}" for n in range(9)], "title": ["t"] * 9, "train_count": [1] * 9})
)
SPACE = FeatureSpace(
    (),
    fit_encoders({"age": Feature(kind=FeatureKind.NUMERIC)}, {"age": [20.0, 40.0]}),
    (),
    ("like", "view", "hide"),
)
USERS = {"a": {"age": 20.0}, "b": {"age": 40.0}}
# a: two items in one instant, a hide, and i0 for a second time; b: one interaction.
ROWS: list[Row] = [
    ("a", "i0", "like", 10),
    ("a", "i1", "view", 20),
    ("a", "i2", "like", 20),
    ("a", "i3", "hide", 30),
    ("a", "i0", "view", 40),
    ("a", "i4", "like", 70),
    ("b", "i5", "view", 15),
]


def examples(log_of: LogOf, rows: Sequence[Row] = ROWS) -> Examples:
    return Examples.of(log_of(rows, ITEMS), SPACE, ["like", "view"], USERS)


def asked(batch: Batch) -> list[tuple[list[int], int, float]]:
    """(history that the query may see, item to predict, seconds since the last interaction)."""
    found = []
    for query, item, weight in zip(
        batch["target_query"], batch["target_items"], batch["target_weights"], strict=True
    ):
        if weight:
            row, column = batch["query_row"][query], batch["query_column"][query]
            seen = batch["history_items"][row, :column]
            elapsed = float(np.expm1(batch["query_elapsed"][query]))
            found.append(((seen[seen > 0] - 1).tolist(), int(item), round(elapsed, 3)))
    return sorted(found)


def test_each_first_interaction_is_asked_from_what_lies_strictly_before(log_of: LogOf) -> None:
    (batch,) = examples(log_of).batches(Shape(4, 8, 16, 16), 8, [1])
    assert asked(batch) == [
        ([], 0, 0.0),
        ([], 5, 0.0),
        ([0], 1, 10.0),
        ([0], 2, 10.0),
        ([0, 1, 2, 3, 0], 4, 30.0),
    ]


def test_user_features_stand_beside_their_windows(log_of: LogOf) -> None:
    (batch,) = examples(log_of).batches(Shape(2, 8, 16, 16), 8, [1])
    for row in range(2):
        of_user_a = batch["history_items"][row].any()
        assert batch["user_age"][row].tolist() == ([-1.0, 0.0] if of_user_a else [1.0, 0.0])


@pytest.mark.parametrize("stride", [2, 3, 5])
@pytest.mark.parametrize("shape", [Shape(3, 5, 7, 9), Shape(2, 6, 40, 3), Shape(50, 5, 200, 200)])
def test_every_target_is_asked_once_an_epoch_with_its_recent_history(
    log_of: LogOf, shape: Shape, stride: int
) -> None:
    rng = np.random.default_rng(3)
    rows: list[Row] = []
    for user in ("a", "b"):
        order = rng.permutation(9)
        rows += [(user, f"i{item}", "like", 100 + 10 * (place // 2)) for place, item in enumerate(order)]
    made = examples(log_of, rows)
    found = [question for batch in made.batches(shape, stride, [7, 2]) for question in asked(batch)]
    assert Counter(item for _, item, _ in found) == dict.fromkeys(range(9), 2)
    histories = [made.log.history(user).items.tolist() for user in range(2)]
    for seen, item, _ in found:
        places = [h.index(item) // 2 * 2 for h in histories]
        assert any(
            seen == h[max(place - len(seen), 0) : place] for h, place in zip(histories, places, strict=True)
        )


def test_same_seed_same_stream_and_static_shapes(log_of: LogOf) -> None:
    rows = [("a", f"i{n}", "like", n) for n in range(9)] + [("b", f"i{8 - n}", "view", n) for n in range(9)]
    made, shape = examples(log_of, rows), Shape(2, 3, 4, 6)

    def stream(seed: list[int]) -> list[dict[str, np.ndarray]]:
        return list(made.dataset(shape, 2, seed).as_numpy_iterator())

    first, again, other = stream([1, 1]), stream([1, 1]), stream([1, 2])
    for left, right in zip(first, again, strict=True):
        assert left.keys() == right.keys()
        assert all(np.array_equal(left[name], right[name]) for name in left)
        assert left["history_items"].shape == (2, 3)
        assert left["target_items"].shape == (6,)
    assert any(
        not np.array_equal(left["history_items"], right["history_items"])
        for left, right in zip(first, other, strict=False)
    )


def test_a_log_without_targets_gives_no_batch(log_of: LogOf) -> None:
    made = examples(log_of, [("a", "i0", "hide", 1)])
    assert len(made.targets) == 0
    assert list(made.batches(Shape(2, 3, 4, 6), 2, [1])) == []
