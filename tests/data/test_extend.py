"""Feature spaces that grow with the data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.config import FeatureKind
from slate.data.extend import extend
from slate.data.features import FeatureEncoder, FeatureSpace
from slate.errors import DataError

WORDS = st.lists(st.text("abcdef", min_size=1, max_size=3), max_size=20)


def space(*items: FeatureEncoder, events: tuple[str, ...] = ("view",)) -> FeatureSpace:
    return FeatureSpace(items, (), (), events)


@given(WORDS, WORDS)
def test_known_categories_keep_their_codes_and_new_ones_come_after(old: list[str], new: list[str]) -> None:
    known = FeatureEncoder.fit("genre", FeatureKind.CATEGORICAL, old)
    fitted = FeatureEncoder.fit("genre", FeatureKind.CATEGORICAL, old + new)
    (grown,) = extend(space(known), space(fitted)).items
    np.testing.assert_array_equal(grown.encode(old), known.encode(old))
    assert set(grown.vocabulary) == {*old, *new}
    assert len(set(grown.vocabulary)) == len(grown.vocabulary)
    if new:
        assert grown.encode(new).min() >= 2, "nothing is unknown any more"


def test_numbers_keep_their_scale() -> None:
    known = FeatureEncoder.fit("price", FeatureKind.NUMERIC, [1.0, 3.0])
    fitted = FeatureEncoder.fit("price", FeatureKind.NUMERIC, [1.0, 3.0, 500.0])
    (grown,) = extend(space(known), space(fitted)).items
    assert (grown.mean, grown.std) == (2.0, 1.0)


def test_lists_grow_as_wide_as_the_widest() -> None:
    known = FeatureEncoder.fit("tags", FeatureKind.CATEGORICAL_LIST, ["a|b|c"])
    fitted = FeatureEncoder.fit("tags", FeatureKind.CATEGORICAL_LIST, ["a|d"])
    (grown,) = extend(space(known), space(fitted)).items
    assert grown.encode(["d|a|c"]).tolist() == [[5, 2, 4]]


@pytest.mark.parametrize(
    ("fitted", "said"),
    [
        (space(events=("view", "buy")), "the parent knows view, the data set describes view, buy"),
        (space(), r"the parent has price \(numeric\), the data set describes none"),
        (
            space(FeatureEncoder("price", FeatureKind.CATEGORICAL)),
            r"the parent has price \(numeric\), the data set describes price \(categorical\)",
        ),
    ],
)
def test_other_features_and_events_are_another_model(fitted: FeatureSpace, said: str) -> None:
    with pytest.raises(DataError, match=said):
        extend(space(FeatureEncoder("price", FeatureKind.NUMERIC)), fitted)
