"""Slates as they are kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.errors import DataError
from slate.recommend.precompute.form import packed, unpacked
from slate.recommend.request import SlateItem

ITEMS = st.builds(
    SlateItem,
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(1, 1000),
    st.text(),
    st.floats(0, 1),
)


@given(st.lists(ITEMS))
def test_what_is_kept_comes_back_as_it_was(items: list[SlateItem]) -> None:
    assert unpacked(packed(tuple(items))) == tuple(items)


def test_it_is_the_list_of_items_of_an_answer() -> None:
    (item,) = json.loads(packed((SlateItem("film é", 0.25, 1, "popular", 0.5),)))
    assert item == {
        "item_id": "film é",
        "score": 0.25,
        "position": 1,
        "source": "popular",
        "propensity": 0.5,
    }


@pytest.mark.parametrize(
    "kept", [b"", b"{", b"7", b'[{"item_id": "a"}]', b'[{"items": []}]', b"[[1]]", b"\xff"]
)
def test_what_is_no_slate_is_an_error(kept: bytes) -> None:
    with pytest.raises(DataError, match="precomputed slate"):
        unpacked(kept)
