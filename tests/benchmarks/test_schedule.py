"""Plans of requests, and answers cut out of a stream."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.serving.http import Answer, Reader, request
from benchmarks.serving.schedule import arrivals


@given(st.floats(0.5, 5_000), st.floats(0.1, 3), st.integers(0, 1000))
def test_a_plan_lies_within_its_time_in_order(rate: float, seconds: float, seed: int) -> None:
    plan = arrivals(rate, seconds, "poisson", seed)
    assert np.all(np.diff(plan) >= 0)
    assert np.all((plan >= 0) & (plan < seconds))
    assert abs(len(plan) - rate * seconds) <= 6 * (rate * seconds) ** 0.5 + 10


def test_poisson_gaps_are_exponential() -> None:
    gaps = np.diff(arrivals(1000, 30, "poisson", seed=3))
    assert gaps.mean() == pytest.approx(0.001, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    assert np.mean(gaps > 0.001) == pytest.approx(np.exp(-1), abs=0.01)


def test_a_plan_is_the_same_again_and_another_by_seed() -> None:
    assert arrivals(50, 1, seed=1).tolist() == arrivals(50, 1, seed=1).tolist()
    assert arrivals(50, 1, seed=1).tolist() != arrivals(50, 1, seed=2).tolist()


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-1, 1), (1, 0)])
def test_a_plan_needs_a_rate_and_a_time(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        arrivals(rate, seconds)


PLAIN = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"some":"it"}'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"some\r\n7;x=1\r\n":"it"}\r\n0\r\n\r\n'
EMPTY = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PLAIN, Answer(200, b'{"some":"it"}', True)),
        (CHUNKED, Answer(200, b'{"some":"it"}', True)),
        (EMPTY, Answer(204, b"", False)),
    ],
    ids=["plain", "chunked", "empty"],
)
@given(cuts=st.lists(st.integers(0, 120), max_size=5))
def test_an_answer_is_whole_however_it_comes(data: bytes, expected: Answer, cuts: list[int]) -> None:
    reader = Reader()
    edges = [0, *sorted(min(cut, len(data) - 1) for cut in cuts), len(data)]
    found = [reader.feed(data[a:b]) for a, b in pairwise(edges) if b > a]
    assert found[-1] == expected
    assert all(each is None for each in found[:-1])
    assert reader.feed(data) == expected, "the next answer on the same connection"


def test_an_answer_without_a_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a length"):
        Reader().feed(b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\nwho knows")


def test_a_request_says_its_length() -> None:
    sent = request("/v1/x", '{"a":"é"}'.encode())
    assert sent.startswith(b"POST /v1/x HTTP/1.1\r\n")
    assert b"content-length: 10\r\n" in sent
