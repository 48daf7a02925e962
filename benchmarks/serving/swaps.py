"""Releases swapped under load: what it costs those who ask meanwhile, and whether an answer mixes two."""

import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

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

    Each swap is a window: from the move of the channel until the server names the new release. Requests
    planned outside of all windows are the steady ones. ``capacity_s`` are the seconds of each rate that is
    tried to find the load.
    """
    world = gathered(worlds, bench.work / "swaps")
    running = bench.start(CONTENDERS[SLATE], world)
    try:
        bench.warm(running, world)
        rate = LOAD * capacity.find(bench, running, world, capacity_s).saturation
        firsts = {each.release_id: f"{each.prefix}-" for each in worlds}
        spec = Spec(
            running.port,
            running.contender.path,
            running.contender.bodies(world.users),
            rate=rate,
            seconds=longest_s,
            marker=MARKER,
            releases=firsts,
        )
        process, out = bench.begin(spec)
        try:
            windows = _swaps(running, world.store, worlds, count, time.monotonic() + longest_s - _STEADY_S)
            finished = time.monotonic()
        finally:
            process.send_signal(signal.SIGTERM)
        record = finish(process, out, spec)
    finally:
        running.stop()
    return told(record, windows, finished, rate, count)


def _swaps(
    running: Running, store: Path, worlds: Sequence[World], count: int, until: float
) -> list[tuple[float, float]]:
    """Some steady time, then one swap after the other; the windows of those that began before ``until``."""
    time.sleep(_STEADY_S)
    windows: list[tuple[float, float]] = []
    while len(windows) < count and time.monotonic() < until:
        following = worlds[(len(windows) + 1) % len(worlds)]
        windows.append(_swap(running, store, following.release_id))
        time.sleep(_BETWEEN_S)
    return windows


def told(
    record: Record, windows: Sequence[tuple[float, float]], until: float, rate: float, wanted: int
) -> dict[str, Any]:
    """Figures of the requests planned before ``until``; times in milliseconds, windows in seconds."""
    counted = record.intended < until
    within = np.zeros(len(record.intended), np.bool_)
    for began, ended in windows:
        within |= (record.intended >= began) & (record.intended <= ended)
    waited = latencies(record)
    steady, during = counted & ~within, counted & within
    p99 = {name: percentile(waited[part], 99) for name, part in (("steady", steady), ("during", during))}
    seconds = [ended - began for began, ended in windows]
    return {
        "swaps": len(windows),
        "wanted": wanted,
        "rate": round(rate, 1),
        "requests": int(counted.sum()),
        "requests_during": int(during.sum()),
        "failed": int((record.status[counted] != 200).sum()),
        "lower_rung": int(((record.status == 200) & ~record.good & counted).sum()),
        "mixed": int(record.mixed[counted].sum()),
        "releases_seen": len(set(record.release[counted].tolist()) - {-1}),
        "swap_s_median": round(float(np.median(seconds)), 3) if seconds else None,
        "steady_p99": _rounded(p99["steady"]),
        "during_p99": _rounded(p99["during"]),
        "ratio": round(p99["during"] / p99["steady"], 2) if p99["during"] and p99["steady"] else None,
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
