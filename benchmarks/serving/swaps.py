"""Releases swapped under load: what it costs those who ask meanwhile, and whether an answer mixes two."""

import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.serving import capacity
from benchmarks.serving.contenders import CONTENDERS, MARKER, SLATE, Running
from benchmarks.serving.drive import Bench, finish
from benchmarks.serving.generator import Record, Spec
from benchmarks.serving.summary import latencies, percentile
from benchmarks.serving.worlds import World
from slate.release.channels import STABLE, move_channel, read_channel
from slate.release.layout import release_prefix
from slate.storage import open_store

#: Load as a share of the highest rate that the same server sustains in an open loop.
LOAD: Final = 0.6
_STEADY_S: Final = 4.0
_BETWEEN_S: Final = 0.3
_LONGEST_S: Final = 60.0
#: Swaps under one load.
_TURN: Final = 10


def gathered(worlds: Sequence[World], store: Path) -> World:
    """One store with the releases of all worlds, the first of them on ``stable``."""
    for world in worlds:
        shutil.copytree(world.folder, store / release_prefix(world.release_id))
    _move(store, worlds[0].release_id)
    return replace(worlds[0], name="swaps", store=store)


def measure(
    bench: Bench, worlds: Sequence[World], count: int, longest_s: float, capacity_s: float
) -> dict[str, Any]:
    """Move the channel ``count`` times under load, always to a release that is not held warm.

    In turns of a few swaps, each under a load that is found just before: a machine's speed changes within
    minutes. Each swap is a window: from the move of the channel until the server names the new release.
    Requests planned outside of all windows are the steady ones.

    Args:
        longest_s: seconds of all turns, after which no swap begins.
        capacity_s: seconds of each rate that is tried to find the load.
    """
    world = gathered(worlds, bench.work / "swaps")
    running = bench.start(CONTENDERS[SLATE], world)
    firsts = {each.release_id: f"{each.prefix}-" for each in worlds}
    turns: list[Turn] = []
    left, done = longest_s, 0
    try:
        bench.warm(running, world)
        while done < count and left > _STEADY_S:
            rate = LOAD * capacity.find(bench, running, world, capacity_s).saturation
            began = time.monotonic()
            upcoming = [worlds[(done + 1 + n) % len(worlds)] for n in range(min(_TURN, count - done))]
            turns.append(_turn(bench, running, world, upcoming, rate, firsts, left))
            done += len(turns[-1].windows)
            left -= time.monotonic() - began
    finally:
        running.stop()
    return told(turns, count)


class Turn(NamedTuple):
    """Some swaps under one load; the windows and ``until``, after which nothing counts, are in seconds."""

    record: Record
    windows: Sequence[tuple[float, float]]
    until: float
    rate: float


def _turn(
    bench: Bench,
    running: Running,
    world: World,
    upcoming: Sequence[World],
    rate: float,
    firsts: Mapping[str, str],
    seconds: float,
) -> Turn:
    spec = Spec(
        running.port,
        running.contender.path,
        running.contender.bodies(world.users),
        rate=rate,
        seconds=seconds,
        marker=MARKER,
        releases=firsts,
    )
    process, out = bench.begin(spec)
    try:
        windows = _swaps(running, world.store, upcoming, time.monotonic() + seconds - _STEADY_S)
        finished = time.monotonic()
    finally:
        process.send_signal(signal.SIGTERM)
    return Turn(finish(process, out, spec), windows, finished, rate)


def _swaps(
    running: Running, store: Path, upcoming: Sequence[World], until: float
) -> list[tuple[float, float]]:
    """Some steady time, then one swap after the other; the windows of those that began before ``until``."""
    time.sleep(_STEADY_S)
    windows: list[tuple[float, float]] = []
    for following in upcoming:
        if time.monotonic() >= until:
            break
        windows.append(_swap(running, store, following.release_id))
        time.sleep(_BETWEEN_S)
    return windows


def told(turns: Sequence[Turn], wanted: int) -> dict[str, Any]:
    """Figures of the requests planned before their turn ended; times in milliseconds, windows in seconds."""
    waits: dict[str, list[Any]] = {"steady": [], "during": []}
    totals = dict.fromkeys(("requests", "requests_during", "failed", "lower_rung", "mixed"), 0)
    releases: set[int] = set()
    for record, windows, until, _ in turns:
        counted = record.intended < until
        within = np.zeros(len(record.intended), np.bool_)
        for began, ended in windows:
            within |= (record.intended >= began) & (record.intended <= ended)
        waited = latencies(record)
        waits["steady"].append(waited[counted & ~within])
        waits["during"].append(waited[counted & within])
        totals["requests"] += int(counted.sum())
        totals["requests_during"] += int((counted & within).sum())
        totals["failed"] += int((record.status[counted] != 200).sum())
        totals["lower_rung"] += int(((record.status == 200) & ~record.good & counted).sum())
        totals["mixed"] += int(record.mixed[counted].sum())
        releases |= set(record.release[counted].tolist())
    p99 = {name: percentile(np.concatenate(parts), 99) for name, parts in waits.items()} if turns else {}
    steady, during = p99.get("steady"), p99.get("during")
    seconds = [ended - began for turn in turns for began, ended in turn.windows]
    return {
        "swaps": len(seconds),
        "wanted": wanted,
        "rate": round(float(np.median([turn.rate for turn in turns])), 1) if turns else None,
        "rates": [round(turn.rate, 1) for turn in turns],
        **totals,
        "releases_seen": len(releases - {-1}),
        "swap_s_median": round(float(np.median(seconds)), 3) if seconds else None,
        "steady_p99": _rounded(steady),
        "during_p99": _rounded(during),
        "ratio": round(during / steady, 2) if during and steady else None,
    }


def _swap(running: Running, store: Path, release_id: str) -> tuple[float, float]:
    """Move the channel and wait until the server names the release; the window on the monotonic clock."""
    began = time.monotonic()
    _move(store, release_id)
    url = f"http://127.0.0.1:{running.port}/v2/models/recommender"
    while time.monotonic() < began + _LONGEST_S:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if release_id.encode() in answer.read():
                    return began, time.monotonic()
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise TimeoutError(f"{release_id}: not taken over within {_LONGEST_S:.0f} s; see {running.log}")


def _move(store: Path, release_id: str) -> None:
    objects = open_store(str(store))
    now = read_channel(objects, STABLE)
    sequence = 0 if now is None else now.sequence
    move_channel(objects, STABLE, release_id, reason="measured", by="benchmark", expected_sequence=sequence)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
