"""A slow candidate is late and says the same; a broken one is killed as often as it comes."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from slate.rollout.state import Move, RolloutStatus, State
from slate.simulation.trouble import Killer, Slow, SlowProxy

AT = "2026-01-01T00:00:00.000000Z"


def state(status: RolloutStatus) -> State:
    """A rollout that stands there."""
    step = "shadow" if status is RolloutStatus.SHADOW else "50"
    move = Move(status=status, step=step, threshold=5000 * (step == "50"), at=AT, by="test", reason="so")
    return State(
        rollout_id="r", release_id="b", stable_release_id="a", salt="r", steps=(50.0,), sequence=1,
        history=(move,), **move.model_dump(include={"status", "step", "threshold", "at", "by"}),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says what it hears."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def asked(port: int, text: bytes) -> tuple[bytes, float]:
    """What comes back, and after how many seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(text)
    back = await reader.readexactly(len(text))
    writer.close()
    await writer.wait_closed()
    return back, time.monotonic() - began


def test_a_slow_proxy_delays_in_the_canary_alone_and_changes_no_byte() -> None:
    async def run() -> list[tuple[bytes, float]]:
        with contextlib.closing(SlowProxy()) as proxy:
            slow, found = Slow(proxy, 0.3), []
            async with echo() as target, proxy.open(target):
                for status in (RolloutStatus.SHADOW, RolloutStatus.CANARY, RolloutStatus.ABORTED):
                    slow(state(status))
                    found.append(await asked(proxy.port, bytes(range(256)) * 1000))
            return found

    answers = asyncio.run(run())
    assert all(back == bytes(range(256)) * 1000 for back, _ in answers)
    assert answers[1][1] >= 0.3
    assert answers[1][1] > max(answers[0][1], answers[2][1])


def test_a_proxy_hangs_up_where_nobody_listens_behind_it() -> None:
    async def run() -> bytes:
        with contextlib.closing(SlowProxy()) as proxy:
            async with echo() as target:
                pass
            async with proxy.open(target):
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                writer.write(b"anybody?")
                found = await reader.read()
                writer.close()
                return found

    assert asyncio.run(run()) == b""


@pytest.fixture
def processes() -> list["subprocess.Popen[bytes]"]:
    return []


def test_a_broken_candidate_is_killed_each_time_it_is_there_once_users_meet_it(
    processes: list["subprocess.Popen[bytes]"],
) -> None:
    def pid() -> int | None:
        return processes[-1].pid if processes and processes[-1].poll() is None else None

    def begin() -> None:
        processes.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))

    killer = Killer(pid)
    killer(state(RolloutStatus.CANARY))
    begin()
    killer(state(RolloutStatus.SHADOW))
    assert processes[0].poll() is None, "nobody meets it yet"
    for _ in range(2):
        killer(state(RolloutStatus.CANARY))
        assert processes[-1].wait(10) == -9
        begin()
    killer(state(RolloutStatus.ABORTED))
    assert processes[-1].poll() is None
    processes[-1].kill()
    processes[-1].wait()
    assert len(killer.killed) == 2
