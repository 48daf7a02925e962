"""One user in a hundred is made up and pushes items nobody wants: nobody else gets to see them."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from slate import columns
from slate.config import CoOccurrenceSourceConfig
from slate.data.sequences import History, UserLog
from slate.data.vocabulary import IdMap
from slate.recommend import fallback
from slate.recommend.sources.base import Asked
from slate.recommend.sources.popular import PopularSource
from slate.recommend.stages.records import Ask
from slate.retrieval.query import Query
from slate.retrieval.sources.co_occurrence import co_occurrence
from slate.retrieval.sources.neighbours import Neighbours
from slate.retrieval.sources.records import ItemRecords
from slate.steps import assemble

ITEMS: Final = 100_000
USERS: Final = 8_000
EVENTS: Final = 30
FAKES: Final = USERS // 100
TOP: Final = 100
PUSHED: Final = np.arange(90_000, 90_050)

Rows = npt.NDArray[np.int64]
NOTHING: Final = np.empty(0, np.int32)
STRANGER: Final = History(NOTHING, np.empty(0, np.int16), np.empty(0, np.int64))
ANYBODY: Final = Ask(Query(STRANGER, 0), NOTHING, NOTHING, ())

#: What each of the made-up users does, 50 events.
ATTACKS: Final = {
    "one item again and again": np.repeat(PUSHED[:1], 50),
    "beside the most popular item": np.tile([0, PUSHED[0]], 25),
    "beside the 25 most popular items": np.stack([np.arange(25), PUSHED[:25]]).T.ravel(),
    "beside an item few people know": np.tile([2000, PUSHED[0]], 25),
    "fifty items once": PUSHED,
}


@pytest.fixture(scope="module")
def honest() -> Rows:
    """Histories of real users [users, events]: Zipf's law, half of it within one of twenty tastes."""
    generator = np.random.default_rng(20_261_101)
    share = 1 / np.arange(1, ITEMS + 1)
    drawn = generator.choice(ITEMS, size=(USERS, EVENTS), p=share / share.sum())
    taste = generator.integers(0, 20, (USERS, 1))
    own = generator.random((USERS, EVENTS)) < 0.5
    return np.where(own, np.minimum(drawn // 20 * 20 + taste, ITEMS - 1), drawn)


def log_of(honest: Rows, attack: Rows | None, organic: bool = True) -> UserLog:
    fakes = 0 if attack is None else FAKES
    lengths = [EVENTS] * USERS + [0 if attack is None else len(attack)] * fakes
    items = np.concatenate([honest.ravel(), *([attack] * fakes if attack is not None else [])])
    flags = [False] * honest.size + [organic] * (len(items) - honest.size)
    return UserLog(
        users=IdMap.of([f"u{user}" for user in range(USERS + fakes)]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=items.astype(np.int32),
        events=np.ones(len(items), np.int16),
        times=np.arange(len(items), dtype=np.int64),
        values=np.full(len(items), np.nan, np.float32),
        weights=np.ones(len(items), np.float32),
        context={columns.ORGANIC: flags},
    )


def neighbours_of(log: UserLog) -> Neighbours:
    return co_occurrence(log, ITEMS, [1], CoOccurrenceSourceConfig(window=4, neighbours=TOP))


@pytest.fixture(scope="module")
def undisturbed(honest: Rows) -> Neighbours:
    return neighbours_of(log_of(honest, None))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_pushed_item_becomes_popular(honest: Rows, attack: Rows, tmp_path: Path) -> None:
    log = log_of(honest, attack)
    source = PopularSource(ItemRecords.of(log, log, ITEMS, [1]))
    (best,) = source.candidates(Asked([ANYBODY], np.zeros((1, 1), np.float32)), [TOP])
    assert len(best) == TOP
    assert not np.isin(best, PUSHED).any()
    owners = np.repeat(np.arange(len(log.users)), np.diff(log.offsets))
    table = pa.table(
        {
            columns.USER: pa.array(owners).cast(pa.string()),
            columns.ITEM: pa.array(log.items).cast(pa.string()),
            columns.EVENT: pa.repeat(pa.scalar("like"), len(log)),
        }
    )
    assemble._write_popular(table, ["like"], tmp_path)
    shown = [item for item, _ in fallback.read(tmp_path)[:TOP]]
    assert not set(shown) & {str(item) for item in PUSHED}


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "one item again and again"])
def test_organic_events_make_nobody_a_neighbour(honest: Rows, name: str, undisturbed: Neighbours) -> None:
    found = neighbours_of(log_of(honest, ATTACKS[name]))
    assert found.rows.tolist() == undisturbed.rows.tolist()
    assert found.scores.tolist() == undisturbed.scores.tolist()


def test_what_is_not_organic_counts_once_a_user(honest: Rows) -> None:
    attack = np.tile([5, 90_000], 25)
    once = neighbours_of(log_of(honest, attack[:2], organic=False))
    often = neighbours_of(log_of(honest, attack, organic=False))
    assert often.scores.tolist() == once.scores.tolist()
    assert 90_000 in once.of(5)[0]
