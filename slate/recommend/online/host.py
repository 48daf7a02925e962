"""Everything behind a server's two models: the engine, what feeds it, and what watches it."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from slate.config.online import OnlineConfig
from slate.recommend.live import LiveState, NothingLive
from slate.recommend.online.follow import ChannelFollower
from slate.recommend.online.health import SECONDS, HealthCheck
from slate.recommend.online.load import Surroundings, load
from slate.recommend.online.online import Expose, Fallen, Loaded, OnlineEngine
from slate.recommend.online.sources import Failed, SourceThreads
from slate.recommend.online.stages import Filtered, Observer, Stages
from slate.recommend.online.tracing import Tracing
from slate.recommend.online.turns import ANSWERING, LOADING, giving_way, step_back
from slate.release.manifest import Manifest
from slate.retrieval.index import CandidateIndex, open_index
from slate.retrieval.index.apart import IndexApart, IndexProcess
from slate.retrieval.index.files import read_record
from slate.storage import ObjectStore

_log = logging.getLogger(__name__)

#: Candidates from which on loading an index beside one that answers would hold up those who ask: ScaNN takes
#: 2 us for each, with the interpreter in its hands.
_LARGE: Final = 20_000

#: Finds a release whose files were verified.
Open = Callable[[], tuple[Path, Manifest]]


class Host:
    """One variant's engine on one event loop.

    Args:
        observe: told of every stage's seconds and trouble.
        filtered: told what the filter stage handed on.
        expose: gives exposure ids; see :data:`slate.recommend.online.online.Expose`.
        fallen: told why a slate is not personalised.
        taken: told of each release that answers from now on.
        source_failed: told of every source that gave nothing, from any thread.
        live: what changes between two releases, and slates made ahead.
    """

    def __init__(
        self,
        config: OnlineConfig,
        variant: str,
        *,
        observe: Observer = lambda *_: None,
        filtered: Filtered = lambda _: None,
        expose: Expose = lambda *_: None,
        fallen: Fallen = lambda *_: None,
        taken: Callable[[str], None] = lambda _: None,
        source_failed: Failed = lambda *_: None,
        live: LiveState | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.stages = Stages(config, observe, filtered, tracing)
        self.sources = SourceThreads(config.slots, config.source_ms / 1000, source_failed)
        self.engine = OnlineEngine(config, variant, self.stages, expose, fallen)
        self._taken = taken
        self._deadline = config.deadline_ms / 1000
        self._surroundings = Surroundings(live or NothingLive(), self.sources.gather)
        self._watching: asyncio.Task[None] | None = None
        # What it starts searches where the stages do. Its thread is made here: one that the loading thread
        # made would stand as far back as that, for good.
        self._starter = ThreadPoolExecutor(1, "start", step_back, (ANSWERING,))
        self._starter.submit(int)
        self._follower: ChannelFollower | None = None

    async def pin(self, find: Open) -> None:
        """Answer from one release for good; whoever waits for this may serve meanwhile, and is not ready.

        Raises:
            SlateError: it cannot be found or may not answer.
        """
        self._take(await _in_thread(lambda: self._load(*find())))

    async def follow(
        self, store: ObjectStore, channel: str, cache_dir: Path | None = None, seconds: float = 1.0
    ) -> None:
        """Answer from what a channel names, now and later; it need not name anything yet."""
        loop = asyncio.get_running_loop()
        self._follower = ChannelFollower(
            store,
            channel,
            self._load,
            lambda release: loop.call_soon_threadsafe(self._take, release),  # type: ignore[arg-type]
            beside=self._beside,
            cache_dir=cache_dir,
            seconds=seconds,
        )
        self._follower.start()

    async def stop(self) -> None:
        """Answer what is held, refuse the rest, and end."""
        if self._follower is not None:
            self._follower.stop()
        await self.engine.drain()
        if self._watching is not None:
            self._watching.cancel()
        self.stages.close()
        self.sources.close()
        self._starter.shutdown(wait=False)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[None]:
        step_back(LOADING)
        admission = self.engine.admission
        with admission.patient(), giving_way(admission.quiet):
            yield

    def _load(self, directory: Path, manifest: Manifest) -> Loaded:
        around = self._surroundings
        if self.engine.release_id is not None:
            around = replace(around, index=self._open_index)
        return load(directory, manifest, around)

    def _open_index(self, folder: Path) -> CandidateIndex:
        """A large one in a process of its own, which begins at the priority of who starts it."""
        if read_record(folder)["size"] < _LARGE:
            return open_index(folder)
        return IndexApart(self._starter.submit(IndexProcess, folder).result())

    def _take(self, release: Loaded) -> None:
        """On the loop: swap between two requests, and watch the new release from now on."""
        batches = self.engine.swap(release)
        self._taken(release.release_id)
        if self._watching is not None:
            self._watching.cancel()
        check = HealthCheck(
            batches,
            self.stages,
            release.golden,
            self._deadline,
            failures=lambda: self.sources.failures,
        )
        self._watching = asyncio.get_running_loop().create_task(self._watch(check))

    async def _watch(self, check: HealthCheck) -> None:
        while True:
            trouble = await check.once()
            if trouble and not self.engine.trouble:
                _log.error("not ready: %s", trouble)
            elif self.engine.trouble and not trouble:
                _log.info("ready again")
            self.engine.trouble = trouble
            await asyncio.sleep(SECONDS)


async def _in_thread(work: Callable[[], Loaded]) -> Loaded:
    """In a thread that a process which ends does not wait for."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Loaded] = loop.create_future()

    def settle(loaded: Loaded | None, error: Exception | None) -> None:
        if outcome.cancelled():
            return
        if loaded is None:
            outcome.set_exception(error or RuntimeError("nothing was loaded"))
        else:
            outcome.set_result(loaded)

    def run() -> None:
        loaded, trouble = None, None
        try:
            loaded = work()
        except Exception as error:
            trouble = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, loaded, trouble)

    threading.Thread(target=run, name="load", daemon=True).start()
    return await outcome
