import math
from datetime import UTC, datetime

import numpy as np
import pytest

from slate.config import Feature, FeatureKind
from slate.data.features import FeatureEncoder, FeatureSpace, encode_columns, encode_records, fit_encoders
from slate.errors import DataError


def fit(kind: FeatureKind, values: list[object]) -> FeatureEncoder:
    return FeatureEncoder.fit("f", kind, values)


def test_categories_are_coded_in_order_after_missing_and_unknown() -> None:
    encoder = fit(FeatureKind.CATEGORICAL, ["red", "blue", None, "red", math.nan])
    assert encoder.vocabulary == ("blue", "red")
    assert encoder.size == 4
    codes = encoder.encode(["red", None, "green", "blue", math.nan])
    assert codes.tolist() == [3, 0, 1, 2, 0]
    assert codes.dtype == np.int32


def test_lists_are_padded_and_cut_to_the_longest_that_was_fitted() -> None:
    encoder = fit(FeatureKind.CATEGORICAL_LIST, [["a"], ["b", "a", "c"], None, []])
    assert encoder.width == 3
    assert encoder.encode([["c", "z"], None, ["a", "b", "c", "a"]]).tolist() == [
        [4, 1, 0],
        [0, 0, 0],
        [2, 3, 4],
    ]


def test_text_keeps_words_seen_twice_in_lower_case() -> None:
    encoder = fit(FeatureKind.TEXT, ["The Red Door", "red river", "A door, closed"])
    assert encoder.vocabulary == ("door", "red")
    assert encoder.width == 3
    assert encoder.encode(["RED-hot door", None, "Nothing"]).tolist() == [[3, 1, 2], [0, 0, 0], [1, 0, 0]]


def test_numbers_are_scaled_and_say_where_they_were_missing() -> None:
    encoder = fit(FeatureKind.NUMERIC, [2.0, 4.0, None, math.nan, math.inf, 9.0])
    assert encoder.mean == 5.0
    assert encoder.std == pytest.approx(math.sqrt(26 / 3))
    assert encoder.size == 0
    encoded = encoder.encode([5.0, None, -math.inf, "9", "many"])
    np.testing.assert_allclose(
        encoded, [[0, 0], [0, 1], [0, 1], [4 / math.sqrt(26 / 3), 0], [0, 1]], rtol=1e-6
    )
    assert encoded.dtype == np.float32


def test_a_constant_or_absent_number_does_not_divide_by_zero() -> None:
    assert fit(FeatureKind.NUMERIC, [3.0, 3.0]).encode([3.0, 4.0]).tolist() == [[0, 0], [1, 0]]
    assert fit(FeatureKind.NUMERIC, [None, None]).encode([None, 2.0]).tolist() == [[0, 1], [2, 0]]


def test_timestamps_are_days() -> None:
    encoder = fit(
        FeatureKind.TIMESTAMP, [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, 0, tzinfo=UTC), None]
    )
    assert encoder.std == pytest.approx(1.0)
    assert encoder.encode([datetime(2026, 1, 3, 12, tzinfo=UTC)])[0, 0] == pytest.approx(1.5)


def test_nothing_to_encode_keeps_the_shape() -> None:
    assert fit(FeatureKind.NUMERIC, []).encode([]).shape == (0, 2)
    assert fit(FeatureKind.CATEGORICAL, []).encode([]).shape == (0,)
    assert fit(FeatureKind.TEXT, []).encode([]).shape == (0, 1)


def space() -> FeatureSpace:
    item_features = {
        "genres": Feature(kind=FeatureKind.CATEGORICAL_LIST),
        "audience": Feature(kind=FeatureKind.SENSITIVE),
        "price": Feature(kind=FeatureKind.NUMERIC),
    }
    items = fit_encoders(item_features, {"genres": [["é"], ["x", "é"]], "price": [1.5, 4.0]})
    return FeatureSpace(items, (), (), ("buy", "view"))


def test_sensitive_features_are_never_encoded() -> None:
    assert [encoder.name for encoder in space().items] == ["genres", "price"]


def test_a_saved_space_encodes_alike() -> None:
    fitted = space()
    again = FeatureSpace.from_json(fitted.to_json())
    assert again == fitted
    columns = {"genres": [["x", "new"], None], "price": [math.nan, 2.0]}
    for name, array in encode_columns(fitted.items, columns, 2).items():
        np.testing.assert_array_equal(array, encode_columns(again.items, columns, 2)[name])


def test_tables_and_requests_are_encoded_alike() -> None:
    fitted = space().items
    by_column = encode_columns(fitted, {"genres": [["é"], None]}, 2)
    by_record = encode_records(fitted, [{"genres": ["é"], "other": 1}, {}])
    assert by_column["price"].tolist() == [[0, 1], [0, 1]]
    for name, array in by_column.items():
        np.testing.assert_array_equal(array, by_record[name])


def test_event_codes_start_at_one_and_an_unknown_event_is_named() -> None:
    assert space().event_code("buy") == 1
    with pytest.raises(DataError, match="'hide' is unknown; use one of buy, view"):
        space().event_code("hide")
