"""Against NumPy's own and Python's dictionaries, which keep the order."""

from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slate.recommend.distinct import ascending, distinct, merged

LIST = st.lists(st.integers(0, 12), max_size=30)


def rows(values: list[int]) -> np.ndarray:
    return np.asarray(values, np.int32)


@given(LIST)
def test_each_value_once_in_both_orders(values: list[int]) -> None:
    given = rows(values)
    assert ascending(given).tolist() == np.unique(given).tolist()
    assert distinct(given).tolist() == list(dict.fromkeys(values))
    assert ascending(given).dtype == distinct(given).dtype == np.int32
    assert given.tolist() == values, "what was given was changed"


@given(st.lists(LIST, min_size=1, max_size=4))
def test_lists_are_merged_in_the_order_in_which_they_name(lists: list[list[int]]) -> None:
    found = merged([rows(own) for own in lists])
    whole = list(dict.fromkeys(chain.from_iterable(lists)))
    assert found.rows.tolist() == whole
    assert found.rows.dtype == np.int32
    for own, places in zip(lists, found.places, strict=True):
        assert [whole[place] for place in places] == list(dict.fromkeys(own))
