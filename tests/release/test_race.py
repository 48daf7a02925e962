"""Twenty publishers, fifty rounds: of those who saw the same channel, exactly one moves it."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slate.errors import ConflictError
from slate.release.channels import Channel, move_channel, read_channel
from slate.release.publish import publish
from slate.storage import ObjectStore, open_store

PUBLISHERS = 20
ROUNDS = 50


def two_releases(store: ObjectStore, make_release: Any) -> list[str]:
    """Each round moves to the other one: forward, then back as a rollback."""
    return [publish(store, make_release()[0]) for _ in range(2)]


def check(channel: Channel | None, winners: dict[int, str], ids: list[str]) -> None:
    assert channel is not None
    assert [(m.sequence - 1, m.by) for m in channel.history] == sorted(winners.items())
    assert [m.release_id for m in channel.history] == [ids[n % 2] for n in range(ROUNDS)]
    assert [m.rollback for m in channel.history] == [n > 0 and n % 2 == 0 for n in range(ROUNDS)]


def test_threads(store_uri: str, make_release: Any) -> None:
    store = open_store(store_uri)
    ids = two_releases(store, make_release)
    barrier = threading.Barrier(PUBLISHERS)
    refused: list[int] = []

    def race(name: str) -> list[int]:
        mine = open_store(store_uri)
        won = []
        for number in range(ROUNDS):
            barrier.wait(60)
            try:
                move_channel(mine, "stable", ids[number % 2], "race", name, expected_sequence=number)
            except ConflictError:
                refused.append(number)
                continue
            won.append(number)
        return won

    names = [f"p{n}" for n in range(PUBLISHERS)]
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        wins = dict(zip(names, pool.map(race, names), strict=True))
    assert sorted(n for won in wins.values() for n in won) == list(range(ROUNDS))
    assert len(refused) == ROUNDS * (PUBLISHERS - 1)
    check(read_channel(store, "stable"), {n: name for name, won in wins.items() for n in won}, ids)


def test_processes(tmp_path: Path, make_release: Any) -> None:
    store = open_store(tmp_path / "store")
    ids = two_releases(store, make_release)
    case = {"uri": store.uri, "ids": ids, "rounds": ROUNDS, "publishers": PUBLISHERS}
    program = [sys.executable, str(Path(__file__).with_name("racer.py")), json.dumps(case)]
    result = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["exits"] == [0] * PUBLISHERS
    winners = [(int(number), name) for number, name in (w.split() for w in answer["won"])]
    assert sorted(number for number, _ in winners) == list(range(ROUNDS))
    check(read_channel(store, "stable"), dict(winners), ids)


@pytest.mark.gcs
def test_the_emulator_still_refuses_stale_generations(gcs: Any) -> None:
    """What the races above stand on: if fake-gcs-server stopped answering 412, they would prove nothing."""
    import urllib.error
    import urllib.request

    bucket = gcs.new_bucket().removeprefix("gs://")

    def upload(generation: int) -> int:
        body = (
            b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "k"}\r\n'
            b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"
        )
        url = f"{gcs.url}/upload/storage/v1/b/{bucket}/o?uploadType=multipart&ifGenerationMatch={generation}"
        request = urllib.request.Request(  # noqa: S310
            url, data=body, headers={"Content-Type": "multipart/related; boundary=b"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert upload(0) == 200
    assert upload(0) == 412
    assert upload(12345) == 412
