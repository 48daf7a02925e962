"""What sources learn when a release is assembled, on histories small enough to count by hand."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.config import CoOccurrenceSourceConfig, Item2VecSourceConfig
from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.errors import ReleaseError
from slate.retrieval.sources.co_occurrence import co_occurrence
from slate.retrieval.sources.item2vec import item2vec
from slate.retrieval.sources.meetings import meetings, wanted_items
from slate.retrieval.sources.neighbours import Neighbours, Pairs
from slate.retrieval.sources.records import NEVER, ItemRecords


def log_of(histories: Sequence[Sequence[int]], events: Sequence[Sequence[int]] | None = None) -> UserLog:
    """One user a history of catalogue rows; times count up from 0 over all of them."""
    lengths = [len(history) for history in histories]
    items = np.asarray([row for history in histories for row in history], np.int32)
    codes = [1] * len(items) if events is None else [code for own in events for code in own]
    return UserLog(
        users=IdMap.of([f"u{i}" for i in range(len(histories))]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=items,
        events=np.asarray(codes, np.int16),
        times=np.arange(len(items), dtype=np.int64),
        values=np.full(len(items), np.nan, np.float32),
        weights=np.ones(len(items), np.float32),
        context={},
    )


def test_items_meet_within_the_window_and_within_one_user() -> None:
    items, users = wanted_items(log_of([[0, 1, 2], [2, 2, 0]]), [1])
    found = [
        pair for both in meetings(items, users, 2) for pair in zip(*(b.tolist() for b in both), strict=True)
    ]
    assert sorted(found) == [(0, 1), (0, 2), (1, 2), (2, 0)]


def test_unwanted_events_are_passed_over() -> None:
    items, users = wanted_items(log_of([[0, 1, 2], [3]], [[1, 2, 1], [2]]), [1])
    assert (items.tolist(), users.tolist()) == ([0, 2], [0, 0])


def test_cosine_and_lift_by_hand() -> None:
    # Neighbouring places only: 0-1 twice, 1-2 once. Meetings: 0 has 2, 1 has 3, 2 has 1; 6 in all.
    log = log_of([[0, 1, 2], [1, 0]])
    cosine = co_occurrence(log, 4, [1], CoOccurrenceSourceConfig(window=1))
    rows, scores = cosine.of(1)
    assert rows.tolist() == [0, 2]
    assert scores.tolist() == pytest.approx([2 / math.sqrt(6), 1 / math.sqrt(3)])
    lift = co_occurrence(log, 4, [1], CoOccurrenceSourceConfig(window=1, similarity="lift"))
    rows, scores = lift.of(1)
    assert rows.tolist() == [0, 2]
    assert scores.tolist() == pytest.approx([2 * 6 / 6, 1 * 6 / 3])
    assert lift.of(3)[0].tolist() == []


def test_only_the_closest_are_kept() -> None:
    log = log_of([[0, 1], [0, 1], [0, 2], [3, 0]])
    found = co_occurrence(log, 4, [1], CoOccurrenceSourceConfig(window=3, neighbours=1))
    # 0 met 1 twice: 2 / sqrt(4 * 2); 2 and 3 once each: 1 / sqrt(4).
    assert found.of(0)[0].tolist() == [1]


def test_no_history_and_lonely_items() -> None:
    for histories in ([], [[2]], [[1, 1, 1]]):
        log = log_of(histories)
        assert len(co_occurrence(log, 3, [1], CoOccurrenceSourceConfig()).rows) == 0
        assert len(item2vec(log, 3, [1], Item2VecSourceConfig()).rows) == 0


def test_closest_sinks_what_is_not_a_score() -> None:
    pairs = Pairs(
        np.array([0, 0, 0, 0, 1, 1, 2]),
        np.array([1, 2, 3, 0, 0, 3, 1]),
        np.array([0.5, np.nan, 0.5, 9.0, -1.0, np.inf, 0.0]),
    )
    found = Neighbours.closest(4, pairs, 5)
    assert [found.of(item)[0].tolist() for item in range(4)] == [[1, 3], [], [], []]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0.125, 1, width=32)),
        unique_by=lambda pair: pair[:2],
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_a_table_survives_its_file(pairs: list[tuple[int, int, float]], count: int) -> None:
    columns = list(zip(*pairs, strict=True)) or [(), (), ()]
    given_pairs = Pairs(
        np.asarray(columns[0], np.int64), np.asarray(columns[1], np.int64), np.asarray(columns[2], np.float64)
    )
    table = Neighbours.closest(6, given_pairs, count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sources" / "near.parquet"
        table.write(path)
        read = Neighbours.read(path, 6)
    assert len(read) == 6
    for item in range(6):
        rows, scores = read.of(item)
        assert rows.tolist() == table.of(item)[0].tolist()
        assert scores.tolist() == table.of(item)[1].tolist()
        best = sorted(((-s, o) for i, o, s in pairs if i == item != o))[:count]
        assert rows.tolist() == [other for _, other in best]


def test_a_table_of_another_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "near.parquet"
    Neighbours(np.array([0, 1, 1]), np.array([7], np.int32), np.array([1], np.float32)).write(path)
    with pytest.raises(ReleaseError, match="assemble"):
        Neighbours.read(path, 2)
    with pytest.raises(ReleaseError, match="3 items"):
        Neighbours.read(path, 3)
    with pytest.raises(ReleaseError, match="count above 0"):
        Neighbours.read(tmp_path / "none.parquet", 2)


def test_records_count_wanted_items_and_date_all(tmp_path: Path) -> None:
    train = log_of([[0, 1, 1], [1, 2]], [[1, 1, 2], [1, 2]])
    everything = log_of([[2, 0], [0, 3]])
    records = ItemRecords.of(train, everything, 5, [1])
    records.write(tmp_path / "sources" / "items.parquet")
    read = ItemRecords.read(tmp_path / "sources" / "items.parquet", 5)
    assert read.wanted.tolist() == [1, 2, 0, 0, 0]
    assert read.first_seen.tolist() == [1, NEVER, 0, 3, NEVER]
    with pytest.raises(ReleaseError, match="5 rows for 6 items"):
        ItemRecords.read(tmp_path / "sources" / "items.parquet", 6)


def two_rooms(seed: int) -> list[list[int]]:
    """Histories that stay in one of two rooms of twelve items; items 24 to 26 are in nobody's."""
    generator = np.random.default_rng(seed)
    return [(generator.integers(0, 12, 15) + 12 * (user % 2)).tolist() for user in range(300)]


@pytest.mark.parametrize("seed", [1, 2])
def test_skip_gram_neighbours_stay_in_their_room(seed: int) -> None:
    config = Item2VecSourceConfig(dim=8, epochs=3, neighbours=8, seed=seed)
    found = item2vec(log_of(two_rooms(seed)), 27, [1], config)
    for item in range(24):
        rows, scores = found.of(item)
        assert len(rows) == 8
        assert item not in rows
        assert {row // 12 for row in rows.tolist()} == {item // 12}
        assert np.all(np.diff(scores) <= 0)
    assert all(len(found.of(item)[0]) == 0 for item in (24, 25, 26))


def test_skip_gram_gives_the_same_for_the_same_seed() -> None:
    log, config = log_of(two_rooms(3)[:40]), Item2VecSourceConfig(dim=4, epochs=1)
    first, second = (item2vec(log, 27, [1], config) for _ in range(2))
    assert first.rows.tolist() == second.rows.tolist()
    assert first.scores.tolist() == second.scores.tolist()
