import numpy as np
import pyarrow as pa

from slate.recommend.names import NOTHING, UNKNOWN, Coded, Names

CODES = np.array([2, 0, 2, 1], np.int32)


def test_each_text_is_looked_up_until_it_is_found() -> None:
    known, asked = {"é": 7, "b": 9}, []

    def look(text: str) -> int | None:
        asked.append(text)
        return known.get(text)

    names = Names(pa.array(["a", "b", "é"]))
    found = Coded(CODES[:3], names).numbers(look)
    assert (found.values.tolist(), found.complete) == ([7, UNKNOWN, 7], False)
    known |= {"a": 3, "é": 8}
    later = Coded(CODES, names).numbers(look)
    assert (later.values.tolist(), later.complete) == ([7, 3, 7, 9], True)
    assert later.values.dtype == np.int32
    assert asked[-2:] == ["a", "b"], "what was found is looked up again"


def test_texts_come_back_in_their_order() -> None:
    assert Coded(CODES, Names(pa.array(["a", "b", "é"]))).texts() == ["é", "a", "é", "b"]
    assert NOTHING.texts() == []
    assert NOTHING.numbers({}.get).complete
