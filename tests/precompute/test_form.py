"""Slates as they are kept."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.errors import DataError
from slate.recommend.precompute.form import packed, unpacked
from slate.recommend.stages.records import Picked

ITEMS = st.tuples(
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.floats(0, 1),
)


@given(st.lists(ITEMS))
def test_what_is_kept_comes_back_as_it_was(items: list[tuple[str, float, str, float]]) -> None:
    slate = Picked(*([item[column] for item in items] for column in range(4)))
    kept = unpacked(packed(slate))
    assert kept == slate.items()
    assert [(one.item_id, one.score, one.source, one.propensity) for one in kept] == items
    assert [one.position for one in kept] == list(range(1, len(items) + 1))


def test_it_is_the_list_of_items_of_an_answer() -> None:
    slate = Picked(["film é", "film è"], [0.25, 0.125], ["popular", "two_tower"], [0.5, 1.0])
    assert json.loads(packed(slate)) == [
        {"item_id": "film é", "score": 0.25, "position": 1, "source": "popular", "propensity": 0.5},
        {"item_id": "film è", "score": 0.125, "position": 2, "source": "two_tower", "propensity": 1.0},
    ]
    assert json.loads(packed(slate)) == [asdict(item) for item in slate.items()]


@pytest.mark.parametrize(
    "kept", [b"", b"{", b"7", b'[{"item_id": "a"}]', b'[{"items": []}]', b"[[1]]", b"\xff"]
)
def test_what_is_no_slate_is_an_error(kept: bytes) -> None:
    with pytest.raises(DataError, match="precomputed slate"):
        unpacked(kept)
