from pathlib import Path

import numpy as np
import pytest

from slate.config import FeatureKind
from slate.data.features import FeatureEncoder, FeatureSpace
from slate.data.sequences import History
from slate.errors import ModelError
from slate.retrieval.query import Query, QueryEncoder, encode_queries

AGE = FeatureEncoder("age", FeatureKind.NUMERIC, mean=30.0, std=10.0)
DEVICE = FeatureEncoder("device", FeatureKind.CATEGORICAL, vocabulary=("phone", "tv"))
SPACE = FeatureSpace((), (AGE,), (DEVICE,), ("like", "view"))


def history(items: list[int], seconds: list[float]) -> History:
    return History(
        np.asarray(items, np.int32),
        np.asarray([1 + i % 2 for i in items], np.int16),
        np.asarray([int(s * 1e6) for s in seconds], np.int64),
    )


def test_encoded_query_is_right_aligned_and_cut_to_the_most_recent() -> None:
    queries = [
        Query(history([4, 7, 2, 9], [0, 10, 20, 30]), 130_000_000, {"age": 45}, {"device": "tv"}),
        Query(history([3], [100]), 101_000_000, {}, {"device": "fridge"}),
        Query(history([], []), 0),
    ]
    encoded = encode_queries(queries, SPACE, 3)
    assert encoded["history_items"].tolist() == [[8, 3, 10], [0, 0, 4], [0, 0, 0]]
    assert encoded["history_events"].tolist() == [[2, 1, 2], [0, 0, 2], [0, 0, 0]]
    np.testing.assert_allclose(
        encoded["history_ages"],
        [[np.log(121), np.log(111), np.log(101)], [0, 0, np.log(2)], [0, 0, 0]],
        rtol=1e-6,
    )
    assert encoded["user_age"].tolist() == [[1.5, 0.0], [0.0, 1.0], [0.0, 1.0]]
    assert encoded["context_device"].tolist() == [3, 1, 0]
    assert {array.dtype.name for array in encoded.values()} == {"int32", "float32"}


def test_an_event_later_than_the_request_has_age_zero() -> None:
    encoded = encode_queries([Query(history([1], [50]), 10_000_000)], SPACE, 1)
    assert encoded["history_ages"].tolist() == [[0.0]]


def test_no_queries_keep_their_shapes() -> None:
    encoded = encode_queries([], SPACE, 5)
    assert encoded["history_items"].shape == (0, 5)
    assert encoded["user_age"].shape == (0, 2)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no \w+\.tflite there"):
        QueryEncoder.open(tmp_path, SPACE, 3)
