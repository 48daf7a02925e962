"""How far a run is, from one process to the next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slate.errors import ConflictError, DataError
from slate.recommend.precompute import progress
from slate.recommend.precompute.partition import Partition
from slate.recommend.precompute.progress import Figures, Journal, Progress
from slate.storage import ObjectStore, open_store

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HALF = Partition(1, 2)


def journal(store: ObjectStore, at: datetime = NOON, items: int = 100, part: Partition = HALF) -> Journal:
    return Journal(store, "r-1", part, Progress(at, items), resume_h=6.0)


def stopped(store: ObjectStore) -> Progress:
    """Somebody came as far as this, and stopped."""
    first = journal(store)
    done = Figures(users=9, slates=7, bytes=80, seconds=1.5, skipped={"inactive": 2})
    reached = replace(first.progress, after="é 7", newcomer="z", figures=done)
    first.add(reached)
    first.keep()
    return reached


def test_who_takes_over_goes_on_from_there_at_the_first_instant(store_uri: str) -> None:
    store = open_store(store_uri)
    reached = stopped(store)
    found = journal(store, NOON + timedelta(hours=5)).progress
    assert found == replace(reached, figures=replace(reached.figures, resumed=9))
    total = found.figures + Figures(users=1, skipped={"failed": 1, "inactive": 3})
    assert (total.users, total.resumed, total.skipped) == (10, 9, {"failed": 1, "inactive": 5})


@pytest.mark.parametrize(
    ("hours", "items", "part"), [(7, 100, HALF), (-1, 100, HALF), (1, 50, HALF), (1, 100, Partition(0, 2))]
)
def test_what_is_old_or_of_something_else_begins_anew(
    store_uri: str, hours: int, items: int, part: Partition
) -> None:
    store = open_store(store_uri)
    stopped(store)
    at = NOON + timedelta(hours=hours)
    anew = journal(store, at, items, part)
    assert anew.progress == Progress(at, items)
    anew.keep()


def test_an_end_leaves_nothing(store_uri: str) -> None:
    store = open_store(store_uri)
    stopped(store)
    journal(store).end()
    assert store.list() == []
    journal(store).end()


def test_two_at_once_are_noticed(store_uri: str) -> None:
    store = open_store(store_uri)
    first, second = journal(store), journal(store)
    first.keep()
    with pytest.raises(ConflictError, match=r"1-of-2\.json: another process"):
        second.keep()
    first.keep()


def test_it_is_kept_every_few_seconds_only(store_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(store_uri)
    own = journal(store)
    own.add(own.progress)
    assert store.list() == []
    monkeypatch.setattr(progress, "_PAUSE_S", 0.0)
    own.add(own.progress)
    assert len(store.list()) == 1


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"schema": 1}', b'{"schema": 1, "at": "noon", "items": 1}']
)
def test_what_is_no_progress_is_named(store_uri: str, content: bytes) -> None:
    store = open_store(store_uri)
    store.write_new("precomputed/r-1/1-of-2.json", content)
    with pytest.raises(DataError, match="delete it"):
        journal(store)
