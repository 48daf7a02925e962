"""Retrieval merges what sources name, and filtering leaves each source its share."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.errors import ModelError
from slate.recommend.arrays import Rows
from slate.recommend.filters.excluded import ExcludedFilter
from slate.recommend.filters.seen import SeenFilter
from slate.recommend.newcomers.group import Group
from slate.recommend.sources.base import Asked, Quota
from slate.recommend.stages.filter import Filtering
from slate.recommend.stages.retrieve import Retrieval

SIZE = 20


class Listed:
    """Names the same rows to everybody, as many as it is asked for."""

    def __init__(self, name: str, rows: Sequence[int]) -> None:
        self.name = name
        self._rows = np.asarray(rows, np.int32)

    def candidates(self, asked: Asked, counts: Sequence[int]) -> list[Rows]:
        return [self._rows[:count] for _, count in zip(asked.asks, counts, strict=True)]


def retrieval(*quotas: tuple[Sequence[int], int], vectors: Any = None) -> Retrieval:
    embeddings = np.arange(SIZE, dtype=np.float32)[:, np.newaxis] if vectors is None else vectors
    release: Any = SimpleNamespace(
        encoder=SimpleNamespace(embed=lambda queries: np.full((len(queries), 1), 2, np.float32)),
        embeddings=embeddings,
        ids=range(SIZE),
        newcomers=SimpleNamespace(group=Group(SIZE)),
    )
    named = [Quota(Listed(f"s{i}", rows), wanted) for i, (rows, wanted) in enumerate(quotas)]
    return Retrieval(release, named, FILTERS)


FILTERS = (SeenFilter(), ExcludedFilter())


def test_each_item_once_with_its_similarity_and_first_source(make_ask: Callable[..., Any]) -> None:
    (found,) = retrieval(([4, 2, 9], 3), ([2, 7, 4, 1], 3)).candidates([make_ask()])
    assert found.rows.tolist() == [4, 2, 9, 7]
    assert found.scores.tolist() == [8, 4, 18, 14]
    assert found.source.tolist() == [0, 0, 0, 1]
    assert found.counts == {"s0": 3, "s1": 3}
    assert [found.named_by(place) for place in range(4)] == [["s0", "s1"], ["s0", "s1"], ["s0"], ["s1"]]


def test_each_source_keeps_its_best_after_filtering(make_ask: Callable[..., Any]) -> None:
    ask = make_ask([4], excluded=[7])
    (found,) = retrieval(([4, 2, 9, 5], 2), ([2, 7, 4, 1, 8], 2)).candidates([ask])
    # Two more are fetched of each, as many as may go.
    assert found.rows.tolist() == [4, 2, 9, 5, 7, 1]
    kept = Filtering(FILTERS).kept(ask, found)
    assert kept.rows.tolist() == [2, 9, 1]
    assert kept.removed_counts == {"seen": 1, "excluded": 1}
    assert kept.scores.tolist() == [4, 18, 2]


def test_a_similarity_that_is_not_finite_goes_no_further(make_ask: Callable[..., Any]) -> None:
    vectors = np.arange(SIZE, dtype=np.float32)[:, np.newaxis].copy()
    vectors[[4, 7]] = [[np.nan], [np.inf]]
    (found,) = retrieval(([4, 2, 9], 3), ([2, 7, 4, 1], 4), vectors=vectors).candidates([make_ask()])
    assert found.rows.tolist() == [2, 9, 1]
    assert [own.tolist() for own in found.places] == [[0, 1], [0, 2]]
    assert found.dropped == 2
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("row", [-1, SIZE])
def test_a_row_outside_the_catalogue_is_refused(row: int, make_ask: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match="source s1"):
        retrieval(([1], 2), ([row], 2)).candidates([make_ask()])


def test_nobody_asks_and_nobody_answers(make_ask: Callable[..., Any]) -> None:
    assert retrieval(([1], 2)).candidates([]) == []
    (found,) = retrieval(([], 2), ([], 3)).candidates([make_ask()])
    assert Filtering(FILTERS).kept(make_ask(), found).rows.tolist() == []


ROWS = st.lists(st.integers(0, SIZE - 1), max_size=SIZE)


@settings(deadline=None)
@given(
    quotas=st.lists(st.tuples(ROWS, st.integers(0, 8)), min_size=1, max_size=3),
    seen=ROWS,
    excluded=ROWS,
)
def test_nothing_twice_nothing_removed_and_no_source_more_than_its_share(
    quotas: list[tuple[list[int], int]], seen: list[int], excluded: list[int], make_ask: Callable[..., Any]
) -> None:
    ask = make_ask(seen, excluded=sorted(set(excluded)))
    (found,) = retrieval(*quotas).candidates([ask])
    kept = Filtering(FILTERS).kept(ask, found)
    rows = kept.rows.tolist()
    assert len(set(rows)) == len(rows)
    assert not set(rows) & {*seen, *excluded}
    assert len(rows) <= sum(wanted for _, wanted in quotas)
    gone = set(seen) | set(excluded)
    for named, wanted in quotas:
        fetched = list(dict.fromkeys(named[: wanted + len(set(seen)) + len(set(excluded))]))
        assert set([row for row in fetched if row not in gone][:wanted]) <= set(rows)
    removed = [place for places in kept.removed.values() for place in places.tolist()]
    assert len(set(removed)) == len(removed)
    assert not set(removed) & set(kept.places.tolist())


ASKED = st.tuples(ROWS, st.sets(st.integers(0, SIZE - 1)))


@settings(deadline=None)
@given(
    quotas=st.lists(st.tuples(ROWS, st.integers(0, 8)), min_size=1, max_size=3),
    asked=st.lists(ASKED, min_size=1, max_size=5),
)
def test_many_asks_at_once_get_what_each_gets_alone(
    quotas: list[tuple[list[int], int]], asked: list[tuple[list[int], set[int]]], make_ask: Callable[..., Any]
) -> None:
    stage, filtering = retrieval(*quotas), Filtering(FILTERS)
    asks = [make_ask(seen, excluded=sorted(excluded)) for seen, excluded in asked]
    for ask, found in zip(asks, stage.candidates(asks), strict=True):
        (alone,) = stage.candidates([ask])
        assert found.rows.tolist() == alone.rows.tolist()
        assert found.scores.tolist() == alone.scores.tolist()
        assert found.source.tolist() == alone.source.tolist()
        assert [own.tolist() for own in found.places] == [own.tolist() for own in alone.places]
        kept, kept_alone = filtering.kept(ask, found), filtering.kept(ask, alone)
        assert kept.places.tolist() == kept_alone.places.tolist()
        assert kept.removed_counts == kept_alone.removed_counts
