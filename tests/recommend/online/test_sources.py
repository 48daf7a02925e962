"""A source that raises, hangs or lies costs only its own candidates; when all do, the stage fails."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slate.errors import ModelError
from slate.recommend.arrays import Rows
from slate.recommend.newcomers.group import Group
from slate.recommend.online.sources import SourceThreads
from slate.recommend.sources.base import Asked, Quota
from slate.recommend.stages.retrieve import Retrieval

SIZE, K = 40, 4
FREE = threading.Event()

Trouble = Callable[[], list[Rows]]


class Named:
    """A source that names the same rows to everybody, or gets into trouble."""

    def __init__(self, name: str, rows: Sequence[int], trouble: Trouble | None = None) -> None:
        self.name = name
        self._rows = np.asarray(rows, np.int32)
        self.trouble = trouble

    def candidates(self, _asked: Asked, counts: Sequence[int]) -> list[Rows]:
        if self.trouble is not None:
            return self.trouble()
        return [self._rows[:count] for count in counts]


def raises() -> list[Rows]:
    raise RuntimeError("this source is broken")


def hangs() -> list[Rows]:
    FREE.wait(30)
    return [np.arange(3, dtype=np.int32)]


def outside() -> list[Rows]:
    return [np.asarray([SIZE], np.int32)]


def too_few() -> list[Rows]:
    return []


@pytest.fixture
def failures() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def threads(failures: list[tuple[str, str]]) -> Iterator[SourceThreads]:
    FREE.clear()
    made = SourceThreads(2, 0.3, lambda *why: failures.append(why))
    yield made
    FREE.set()
    made.close()


def retrieval(threads: SourceThreads, *sources: Named) -> Retrieval:
    release: Any = SimpleNamespace(
        encoder=SimpleNamespace(embed=lambda queries: np.ones((len(queries), 1), np.float32)),
        embeddings=np.ones((SIZE, 1), np.float32),
        ids=range(SIZE),
        newcomers=SimpleNamespace(group=Group(SIZE)),
        config=SimpleNamespace(k=K),
    )
    return Retrieval(release, [Quota(source, 10) for source in sources], (), threads.gather)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(raises, "failed"), (hangs, "late"), (outside, "failed"), (too_few, "failed")],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_in_trouble_costs_only_itself(
    threads: SourceThreads,
    failures: list[tuple[str, str]],
    make_ask: Callable[..., Any],
    trouble: Trouble,
    reason: str,
    place: int,
) -> None:
    sources = [Named(name, range(start, start + 5)) for name, start in (("a", 0), ("b", 10), ("c", 20))]
    sources[place].trouble = trouble
    (found,) = retrieval(threads, *sources).candidates([make_ask()])
    left = [row for n, start in enumerate((0, 10, 20)) if n != place for row in range(start, start + 5)]
    assert found.rows.tolist() == left
    assert found.counts == {name: 0 if n == place else 5 for n, name in enumerate("abc")}
    assert failures == [("abc"[place], reason)]
    assert threads.failures == 1


def test_the_stage_fails_where_the_others_give_too_little(
    threads: SourceThreads, make_ask: Callable[..., Any]
) -> None:
    enough = retrieval(threads, Named("a", range(K)), Named("b", [], raises))
    assert len(enough.candidates([make_ask()])[0].rows) == K
    short = retrieval(threads, Named("a", range(K - 1)), Named("b", [], raises))
    with pytest.raises(ModelError, match="sources b: gave nothing, and the others 3 candidates"):
        short.candidates([make_ask()])
    with pytest.raises(ModelError, match="sources a, b: gave nothing"):
        retrieval(threads, Named("a", [], raises), Named("b", [], outside)).candidates([make_ask()])


def test_few_candidates_without_trouble_are_no_failure(
    threads: SourceThreads, make_ask: Callable[..., Any]
) -> None:
    (found,) = retrieval(threads, Named("a", [1]), Named("b", [])).candidates([make_ask()])
    assert found.rows.tolist() == [1]
    assert threads.failures == 0


def test_a_source_alone_fails_with_its_stage_and_is_counted(
    threads: SourceThreads, failures: list[tuple[str, str]], make_ask: Callable[..., Any]
) -> None:
    with pytest.raises(RuntimeError, match="this source is broken"):
        retrieval(threads, Named("a", [], raises)).candidates([make_ask()])
    assert failures == [("a", "failed")]


def test_a_source_that_hangs_holds_its_slots_and_no_more(
    threads: SourceThreads, failures: list[tuple[str, str]], make_ask: Callable[..., Any]
) -> None:
    hanging = Named("b", [], hangs)
    asked = retrieval(threads, Named("a", range(6)), hanging)
    for _ in range(5):
        (found,) = asked.candidates([make_ask()])
        assert len(found.rows) == 6
    assert failures == [("b", "late")] * 2 + [("b", "busy")] * 3
    assert threads.held("b") == 2
    assert sum(thread.name == "source-b" for thread in threading.enumerate()) <= 2
    FREE.set()
    while threads.held("b"):
        time.sleep(0.005)
    hanging.trouble = None
    hanging._rows = np.asarray([30], np.int32)
    (found,) = asked.candidates([make_ask()])
    assert 30 in found.rows, "and it recovers"


def test_many_at_once_get_their_own_answers(threads: SourceThreads, make_ask: Callable[..., Any]) -> None:
    asked = retrieval(threads, Named("a", range(6)), Named("b", range(20, 26)))
    found: list[list[int]] = []

    def ask() -> None:
        for _ in range(20):
            found.extend(each.rows.tolist() for each in asked.candidates([make_ask(), make_ask()]))

    callers = [threading.Thread(target=ask) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [[*range(6), *range(20, 26)]] * 80
