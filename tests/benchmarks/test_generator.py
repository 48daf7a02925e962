"""The load generator: nothing that a server does can keep it from planning, sending and counting."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest

from benchmarks.serving.generator import BROKEN, TIMED_OUT, Generator, Record, Spec
from benchmarks.serving.summary import latencies, summarise

GOOD = b'{"rung":"personalised"}'
Respond = Callable[[int], Awaitable[bytes | None]]


def answer(body: bytes = GOOD, status: int = 200, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


@contextlib.asynccontextmanager
async def server(respond: Respond) -> AsyncIterator[int]:
    """A server that answers the n-th request with what ``respond`` gives, and hangs up on None."""
    count = 0
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        handling.add(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.rpartition(b"content-length: ")[2]))
                count += 1
                data = await respond(count - 1)
                if data is None:
                    break
                writer.write(data)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


def run(respond: Respond, **more: object) -> Record:
    async def go() -> Record:
        async with server(respond) as port:
            spec = Spec(port, "/ask", ['{"a":1}'], marker="personalised", **more)  # type: ignore[arg-type]
            return await Generator(spec).run()

    return asyncio.run(go())


async def at_once(_: int) -> bytes:
    return answer()


def test_everything_planned_is_sent_and_answered() -> None:
    record = run(at_once, rate=200, seconds=0.5, kind="fixed")
    told = summarise(record, 0.5, 1000)
    assert told.sent == told.good == 100
    assert (told.refused, told.failed) == (0, 0)
    assert told.goodput == 200
    assert np.all(record.noticed >= record.intended)
    assert np.all(record.done > record.noticed)


def test_requests_due_while_the_server_stalls_count_their_wait() -> None:
    """The server stops for half a second; a closed loop would count one slow request."""
    stall, rate = 0.5, 100

    until = 0.0

    async def stalls(number: int) -> bytes:
        nonlocal until
        if number == 10:
            until = time.monotonic() + stall
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        return answer()

    record = run(stalls, rate=rate, seconds=1.0, kind="fixed")
    waited = latencies(record)
    assert record.good.all()
    # Of those due in the stall, half waited longer than half of it.
    assert np.sum(waited > 1000 * stall / 2) >= 0.4 * rate * stall
    assert waited.max() >= 1000 * stall * 0.9
    slowest = int(np.argmax(waited))
    assert np.all(np.diff(waited[slowest : slowest + 20]) < 200)


def test_too_few_connections_do_not_hide_the_wait() -> None:
    async def slowly(_: int) -> bytes:
        await asyncio.sleep(0.05)
        return answer()

    record = run(slowly, rate=100, seconds=0.4, kind="fixed", connections=1, timeout_s=20)
    told = summarise(record, 0.4, 10_000)
    # One connection carries 20 a second: the last of 40 waits as long as all take, less the plan.
    assert told.good == 40
    assert told.whole_p99 >= 1_500
    assert told.lateness_p99 < 1_500


def test_stopped_early_it_tells_of_what_was_due_until_then() -> None:
    async def go() -> Record:
        async with server(at_once) as port:
            spec = Spec(port, "/", ["{}"], rate=100, seconds=600, kind="fixed", marker="personalised")
            generator = Generator(spec)
            asyncio.get_running_loop().call_later(0.3, generator.stop)
            return await generator.run()

    record = asyncio.run(go())
    assert 0 < len(record.status) < 1_000
    assert record.good.all()
    assert np.isfinite(record.done).all()


def test_a_server_that_never_answers_times_out_and_is_counted() -> None:
    async def never(_: int) -> bytes:
        await asyncio.sleep(5)
        return answer()

    record = run(never, rate=50, seconds=0.2, kind="fixed", timeout_s=0.3)
    assert np.all(record.status == TIMED_OUT)
    assert np.all(latencies(record) >= 300)
    assert summarise(record, 0.2, 1000).failed == 10


def test_a_hung_up_connection_is_a_failure_and_the_next_request_has_a_new_one() -> None:
    async def fickle(number: int) -> bytes | None:
        return None if number % 2 else answer()

    record = run(fickle, rate=100, seconds=0.4, kind="fixed")
    assert np.sum(record.status == BROKEN) == 20
    assert np.sum(record.good) == 20


def test_refusals_are_told_from_failures_and_from_answers_of_a_lower_rung() -> None:
    replies = [
        answer(),
        answer(b"{}", 429),
        answer(b"{}", 503, "connection: close\r\n"),
        answer(b'{"rung":"popular"}'),
    ]

    async def mixed(number: int) -> bytes:
        return replies[number % 4]

    record = run(mixed, rate=100, seconds=0.4, kind="fixed")
    told = summarise(record, 0.4, 1000)
    assert (told.good, told.refused, told.failed) == (10, 20, 10)
    assert told.refused_p99 is not None


def test_late_answers_are_no_goodput() -> None:
    async def slowly(_: int) -> bytes:
        await asyncio.sleep(0.03)
        return answer()

    told = summarise(run(slowly, rate=50, seconds=0.4, kind="fixed"), 0.4, deadline_ms=20)
    assert told.good == 20
    assert told.goodput == 0


def test_an_answer_that_mixes_releases_is_seen() -> None:
    def slate(release: str, first: str, second: str) -> bytes:
        return answer(
            f'{{"predictions":[{{"rung":"personalised","release_id":"{release}","items":'
            f'[{{"item_id":"{first}-1"}},{{"item_id":"{second}-2"}}]}}]}}'.encode()
        )

    replies = [slate("R1", "a", "a"), slate("R2", "b", "b"), slate("R2", "b", "a")]

    async def each(number: int) -> bytes:
        return replies[number % 3]

    record = run(each, rate=100, seconds=0.3, kind="fixed", releases={"R1": "a-", "R2": "b-"})
    assert sorted(np.bincount(record.release).tolist()) == [10, 20]
    assert record.mixed.sum() == 10


def test_a_closed_loop_counts_good_answers_only() -> None:
    async def half(number: int) -> bytes:
        return answer() if number % 2 else answer(b"{}", 503)

    record = run(half, closed=4, seconds=0.3)
    assert len(record.status) > 10
    assert 0.3 < record.good.mean() < 0.7


def test_nobody_listening_is_a_failure_of_every_request() -> None:
    async def go() -> Record:
        async with server(at_once) as port:
            pass
        return await Generator(
            Spec(port, "/", ["{}"], rate=50, seconds=0.2, kind="fixed", timeout_s=0.2)
        ).run()

    record = asyncio.run(go())
    assert len(record.status) == 10
    assert not record.good.any()


@pytest.mark.parametrize("kind", ["fixed", "poisson"])
def test_a_record_survives_its_file(kind: str, tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "record.npz"
    record = run(at_once, rate=100, seconds=0.2, kind=kind)
    record.save(path)
    again = Record.load(path)
    assert again.done.tolist() == record.done.tolist()
    assert again.good.dtype == np.bool_
