import numpy as np
import pytest

from slate.data.vocabulary import IdMap
from slate.errors import DataError


def test_ids_keep_their_order_and_exact_spelling() -> None:
    ids = IdMap.of(["007", "7", "z", "é"])
    assert len(ids) == 4
    assert [ids.row(i) for i in ("7", "007", "é", "07")] == [1, 0, 3, None]
    assert ids.to_ids(np.array([3, 0, 0])) == ["é", "007", "007"]
    assert "z" in ids
    assert 7 not in ids
    assert ids.issuperset(["é", "7"])
    assert not ids.issuperset(["é", "e"])


def test_known_rows_leave_out_what_is_unknown() -> None:
    rows = IdMap.of(["a", "b", "c"]).known_rows(["c", "nobody", "a", "c"])
    assert rows.tolist() == [2, 0, 2]
    assert rows.dtype == np.int32
    assert IdMap.of([]).known_rows(["a"]).size == 0


def test_an_id_that_appears_twice_is_named() -> None:
    with pytest.raises(DataError, match="'b' appears twice"):
        IdMap.of(["a", "b", "c", "b"])


def test_a_row_beyond_the_map_is_an_error() -> None:
    with pytest.raises(IndexError):
        IdMap.of(["a"]).to_ids([1])
