"""One contract, two queues: an SQLite file and a real Redis."""

import threading
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.errors import ConflictError, FullError, NotFoundError
from slate.feedback.queue import Claim, Entry, Queue
from tests.feedback.conftest import Backend

HOUR = 3600.0


@pytest.fixture
def queue(backend: Backend) -> Queue:
    return backend.queue()


def _fill(queue: Queue, count: int, stream: str = "s") -> None:
    queue.append(stream, [str(number).encode() for number in range(1, count + 1)])


def test_positions_count_from_one_without_gaps_and_streams_are_apart(backend: Backend, queue: Queue) -> None:
    assert queue.append("a", [b"1", b"\x00\r\n\xff"]) == [True, True]
    assert queue.append("b", [b""]) == [True]
    assert queue.append("a", []) == []
    queue.append("a", [b"3"])
    again = backend.queue()
    assert again.read("a", 0, 10) == [Entry(1, b"1"), Entry(2, b"\x00\r\n\xff"), Entry(3, b"3")]
    assert again.read("a", 1, 1) == [Entry(2, b"\x00\r\n\xff")]
    assert again.read("a", 3, 10) == again.read("none", 0, 10) == []
    assert (again.depth("a"), again.depth("b"), again.depth("none"), again.depth("none", "g")) == (3, 1, 0, 0)


def test_an_id_counts_once_in_its_stream(queue: Queue) -> None:
    assert queue.append("a", [b"1", b"2", b"3"], ["x", "y", "x"]) == [True, True, False]
    assert queue.append("a", [b"4", b"5"], ["é" * 300, "y"]) == [True, False]
    assert queue.append("a", [b"6"], ["é" * 300]) == [False]
    assert queue.append("b", [b"7"], ["x"]) == [True]
    assert queue.append("a", [b"8", b"8"]) == [True, True]
    assert [e.record for e in queue.read("a", 0, 10)] == [b"1", b"2", b"4", b"8", b"8"]
    with pytest.raises(ValueError, match="2 records with 1 ids"):
        queue.append("a", [b"1", b"2"], ["x"])


def test_an_id_is_forgotten_after_its_time(backend: Backend) -> None:
    queue = backend.queue(remember_seconds=0.02)
    queue.append("a", [b"1"], ["x"])
    time.sleep(0.05)
    assert queue.append("a", [b"2"], ["x"]) == [True]


def test_a_full_stream_takes_nothing_and_takes_again_when_groups_are_done(backend: Backend) -> None:
    queue = backend.queue(pending=4)
    queue.append("a", [b"1", b"2", b"3"], ["1", "2", "3"])
    with pytest.raises(FullError, match="a: 4 records wait; send again later"):
        queue.append("a", [b"4", b"5"], ["4", "5"])
    assert queue.depth("a") == 3
    assert queue.append("a", [b"3", b"4"], ["3", "4"]) == [False, True]
    assert queue.append("b", [b"1"]) == [True]
    for group in ("fast", "slow"):
        queue.register("a", group)
    _work(queue, "a", "fast", 3)
    with pytest.raises(FullError):
        queue.append("a", [b"5"], ["5"])
    _work(queue, "a", "slow", 1)
    assert queue.append("a", [b"5"], ["5"]) == [True]


def _work(queue: Queue, stream: str, group: str, limit: int) -> Claim | None:
    claim = queue.claim(stream, group, "c", limit, HOUR)
    if claim:
        queue.acknowledge(stream, group, "c", claim)
    return claim


def test_claims_follow_each_other_and_groups_do_not_disturb_each_other(queue: Queue) -> None:
    assert queue.claim("s", "g", "c", 5, HOUR) is None
    _fill(queue, 5)
    assert [_work(queue, "s", "g", 2) for _ in range(4)] == [Claim(1, 2), Claim(3, 4), Claim(5, 5), None]
    assert (queue.depth("s", "g"), queue.depth("s", "h"), queue.depth("s")) == (0, 5, 5)
    assert _work(queue, "s", "h", 100) == Claim(1, 5)


def test_one_consumer_holds_the_claim_until_it_is_late(queue: Queue) -> None:
    _fill(queue, 5)
    assert queue.claim("s", "g", "ann", 2, HOUR) == Claim(1, 2)
    assert queue.claim("s", "g", "bob", 9, HOUR) is None
    assert queue.claim("s", "g", "ann", 9, 0.05) == Claim(1, 2)
    time.sleep(0.1)
    assert queue.claim("s", "g", "bob", 9, HOUR) == Claim(1, 2)
    with pytest.raises(ConflictError, match="s 1-2: is no longer claimed by ann"):
        queue.acknowledge("s", "g", "ann", Claim(1, 2))
    queue.acknowledge("s", "g", "bob", Claim(1, 2))
    queue.acknowledge("s", "g", "bob", Claim(1, 2))
    queue.acknowledge("s", "g", "ann", Claim(1, 2))
    assert queue.claim("s", "g", "ann", 9, HOUR) == Claim(3, 5)


@pytest.mark.parametrize("wrong", [Claim(1, 1), Claim(1, 3), Claim(2, 3), Claim(4, 9)])
def test_only_what_was_claimed_is_acknowledged(queue: Queue, wrong: Claim) -> None:
    _fill(queue, 5)
    assert queue.claim("s", "g", "ann", 2, HOUR) == Claim(1, 2)
    with pytest.raises(ConflictError):
        queue.acknowledge("s", "g", "ann", wrong)
    assert queue.depth("s", "g") == 5


def test_what_is_read_again_has_the_bounds_it_had(queue: Queue) -> None:
    _fill(queue, 9)
    for limit in (2, 3, 1):
        _work(queue, "s", "g", limit)
    assert queue.claim("s", "g", "ann", 2, HOUR) == Claim(7, 8)
    queue.rewind("s", "g", 3)  # Inside of 3-5.
    assert queue.depth("s", "g") == 7
    assert [_work(queue, "s", "g", 99) for _ in range(4)] == [
        Claim(3, 5),
        Claim(6, 6),
        Claim(7, 8),
        Claim(9, 9),
    ]
    queue.rewind("s", "g", 5)
    assert _work(queue, "s", "g", 99) == Claim(6, 6)
    queue.rewind("s", "g", 1_000)
    assert _work(queue, "s", "g", 99) == Claim(7, 8)
    queue.claim("s", "g", "c", 9, HOUR)
    queue.rewind("s", "g", 0)
    with pytest.raises(ConflictError):
        queue.acknowledge("s", "g", "c", Claim(7, 8))


def test_only_what_every_group_is_done_with_is_trimmed(queue: Queue) -> None:
    _fill(queue, 9)
    assert queue.trim("s", 100) == 0
    queue.register("s", "slow")
    for _ in range(3):
        _work(queue, "s", "fast", 3)
    assert queue.trim("s", 100) == 0
    for limit in (2, 3):
        _work(queue, "s", "slow", limit)
    assert queue.trim("s", 5) == 4
    assert queue.trim("s", 5) == 0
    assert queue.depth("s") == 5
    assert queue.read("s", 0, 1) == [Entry(5, b"5")]
    with pytest.raises(NotFoundError, match="s: is kept from position 5 on"):
        queue.rewind("s", "slow", 4)  # The claim 3-5 is not whole any more.
    queue.rewind("s", "slow", 5)
    assert _work(queue, "s", "slow", 9) == Claim(6, 9)
    assert queue.trim("s", 100) == 5
    assert (queue.depth("s"), queue.depth("s", "slow"), queue.depth("s", "new")) == (0, 0, 0)
    queue.append("s", [b"10"])
    assert queue.read("s", 0, 5) == [Entry(10, b"10")]
    assert _work(queue, "s", "new", 9) == Claim(10, 10)


def test_writers_at_once_lose_and_repeat_nothing(backend: Backend) -> None:
    queues = [backend.queue() for _ in range(3)]

    def write(queue: Queue, mark: str) -> None:
        for number in range(40):
            names = [f"{mark}{number}", f"shared{number}"]
            queue.append("s", [name.encode() for name in names], names)

    threads = [
        threading.Thread(target=write, args=(queues[place % 3], mark)) for place, mark in enumerate("abcdef")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = queues[0].read("s", 0, 10_000)
    assert [e.position for e in entries] == list(range(1, 6 * 40 + 40 + 1))
    assert len({e.record for e in entries}) == len(entries)


def test_consumers_at_once_share_the_claims_out(backend: Backend) -> None:
    queue = backend.queue()
    _fill(queue, 200)
    done: list[Claim] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        mine = backend.queue()
        while mine.depth("s", "g"):
            claim = mine.claim("s", "g", name, 7, HOUR)
            if claim:
                with lock:
                    done.append(claim)
                mine.acknowledge("s", "g", name, claim)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ann", "bob", "cem")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [Claim(first, min(first + 6, 200)) for first in range(1, 201, 7)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.tuples(st.sampled_from("acdrt"), st.integers(0, 6)), max_size=25), name=st.uuids())
def test_whatever_happens_claims_tile_the_stream(
    backend: Backend, moves: list[tuple[str, int]], name: object
) -> None:
    """Appends, claims, acknowledgements, rewinds and trims in any order: bounds never overlap differently."""
    queue, stream = _queue_once(backend), f"s{name}"
    bounds: dict[int, int] = {}
    held: Claim | None = None
    for move, number in moves:
        if move == "a":
            queue.append(stream, [b"x"] * number)
        elif move == "c":
            held = queue.claim(stream, "g", "c", number + 1, HOUR)
            if held:
                assert bounds.setdefault(held.first, held.last) == held.last
        elif move == "d" and held:
            queue.acknowledge(stream, "g", "c", held)
            held = None
        elif move == "r":
            held = None
            try:
                queue.rewind(stream, "g", number)
            except NotFoundError:
                assert queue.read(stream, 0, 1)[0].position > 1 if queue.depth(stream) else True
        elif move == "t":
            queue.trim(stream, number)
    claims = sorted(bounds.items())
    assert all(last + 1 == later for (_, last), (later, _) in pairwise(claims))


_queues: dict[str, Queue] = {}


def _queue_once(backend: Backend) -> Queue:
    """Hypothesis calls a test many times with the same fixture."""
    key = str(backend.path)
    if key not in _queues:
        _queues.clear()
        _queues[key] = backend.queue()
    return _queues[key]
