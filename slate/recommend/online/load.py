"""Open a release so that its first request is as fast as its thousandth, or refuse it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.errors import ReleaseError
from slate.recommend.arrays import Rows
from slate.recommend.golden import golden_problems
from slate.recommend.live import LiveState, NothingLive
from slate.recommend.online.ladder import Ladder
from slate.recommend.online.online import Loaded
from slate.recommend.opened import OpenIndex
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request
from slate.recommend.stages.retrieve import Call, Gather, one_by_one
from slate.release.manifest import Manifest
from slate.release.verify import check_requires
from slate.retrieval.index import open_index

#: What a release takes in memory, as a multiple of its files.
_GROWTH: Final = 2.0
#: Sizes of the batches asked before anybody else asks. Every path is taken by the first; what memory is
#: needed for many is had by the last.
_WARM_BATCHES: Final = (1, 1, 2, 8)
_SHOWN: Final = 3
#: Items that are compared in one go.
_PART: Final = 10_000


@dataclass(frozen=True)
class Surroundings:
    """What a release meets where it serves: live state, how its sources are asked and its index is opened."""

    live: LiveState = field(default_factory=NothingLive)
    gather: Gather = one_by_one
    index: OpenIndex = open_index


def load(directory: Path, manifest: Manifest, surroundings: Surroundings | None = None) -> Loaded:
    """Open, check and warm a release whose files were verified.

    Raises:
        ReleaseError: it needs other versions or more memory than is free, cannot be opened, or does not
            answer its golden requests as it did when it was made.
    """
    check_requires(manifest)
    _check_memory(manifest)
    around = surroundings or Surroundings()
    sources = _Strict(around.gather)
    try:
        recommender = Recommender(
            directory, manifest.config, manifest.release_id, around.live, sources.gather, around.index
        )
        golden = tuple(case.model_dump() for case in manifest.golden)
        problems = golden_problems(recommender, golden)
    except Exception as error:
        raise ReleaseError(
            f"release {manifest.release_id}: cannot be opened ({type(error).__name__}: {error}); "
            "roll its channel back"
        ) from error
    if not manifest.golden:
        problems = ["it has no golden requests"]
    if not _same(recommender.index.ids, recommender.catalogue.ids.ids):
        problems.append("its index holds other items than its catalogue, or in another order")
    if problems:
        raise ReleaseError(
            f"release {manifest.release_id}: does not answer as when it was made: "
            f"{'; '.join(problems[:_SHOWN])}; roll its channel back"
        )
    _warm(recommender, [case["request"]["user_id"] for case in golden])
    sources.strict = False
    return Loaded(
        release_id=manifest.release_id,
        funnel=recommender.funnel,
        scoring=recommender.funnel,
        ladder=Ladder(
            manifest.release_id,
            # To lower rungs everybody is somebody of whom nothing is known.
            recommender.funnel.popular(Request(history=(), live=False)),
            recommender.config.k,
            around.live,
        ),
        known=recommender.opened.ids,
        golden=golden,
    )


class _Strict:
    """Until a release is found good, one failing source is a failure of the release."""

    def __init__(self, gather: Gather) -> None:
        self._gather = gather
        self.strict = True

    def gather(self, calls: Sequence[Call]) -> Sequence[list[Rows] | None]:
        return one_by_one(calls) if self.strict else self._gather(calls)


def _same(indexed: npt.NDArray[np.str_], known: Sequence[str]) -> bool:
    """Whether an index holds these items in this order. A part at a time: all at once is one call, for which
    the interpreter is nobody else's.
    """
    return len(indexed) == len(known) and all(
        indexed[first : first + _PART].tolist() == list(known[first : first + _PART])
        for first in range(0, len(known), _PART)
    )


def _check_memory(manifest: Manifest) -> None:
    needed = _GROWTH * sum(entry.size for entry in manifest.files)
    free = free_memory()
    if free is not None and needed > free:
        raise ReleaseError(
            f"release {manifest.release_id}: may need {needed / 2**20:,.0f} MiB of memory and "
            f"{free / 2**20:,.0f} MiB are free; give the server more"
        )


def free_memory() -> int | None:
    """Bytes that this process may still take: of the machine, and of its control group where it has one."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
    except OSError:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))
    group = Path("/sys/fs/cgroup")
    try:
        most = (group / "memory.max").read_text(encoding="ascii").strip()
        if most != "max":
            limits.append(int(most) - int((group / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):
        pass
    return min(limits, default=None)


def _warm(recommender: Recommender, users: Sequence[str | None]) -> None:
    """Take every path for some users, so that no request pays for what is only once."""
    for size in _WARM_BATCHES:
        recommender.recommend_batch([Request(user_id=users[place % len(users)]) for place in range(size)])
