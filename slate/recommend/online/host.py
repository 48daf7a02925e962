"""Everything behind a server's two models: the engine, what feeds it, and what watches it."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from slate.config.online import OnlineConfig
from slate.recommend.online.follow import ChannelFollower
from slate.recommend.online.health import SECONDS, HealthCheck
from slate.recommend.online.ladder import Precomputed, nothing_precomputed
from slate.recommend.online.load import load
from slate.recommend.online.online import Expose, Fallen, Loaded, OnlineEngine
from slate.recommend.online.stages import Filtered, Observer, Stages
from slate.release.manifest import Manifest
from slate.storage import ObjectStore

_log = logging.getLogger(__name__)


class Host:
    """One variant's engine on one event loop.

    Args:
        observe: told of every stage's seconds and trouble.
        filtered: told what the filter stage handed on.
        expose: gives exposure ids; see :data:`slate.recommend.online.online.Expose`.
        fallen: told why a slate is not personalised.
        taken: told of each release that answers from now on.
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
        precomputed: Precomputed = nothing_precomputed,
    ) -> None:
        self.stages = Stages(config, observe, filtered)
        self.engine = OnlineEngine(config, variant, self.stages, expose, fallen)
        self._taken = taken
        self._precomputed = precomputed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None
        self._follower: ChannelFollower | None = None

    async def pin(self, directory: Path, manifest: Manifest) -> None:
        """Answer from one release for good.

        Raises:
            ReleaseError: it may not answer.
        """
        loop = self._begin()
        self._take(await loop.run_in_executor(None, self._load, directory, manifest))

    async def follow(
        self, store: ObjectStore, channel: str, cache_dir: Path | None = None, seconds: float = 1.0
    ) -> None:
        """Answer from what a channel names, now and later; it need not name anything yet."""
        loop = self._begin()
        self._follower = ChannelFollower(
            store,
            channel,
            self._load,
            lambda release: loop.call_soon_threadsafe(self._take, release),  # type: ignore[arg-type]
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

    def _begin(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _load(self, directory: Path, manifest: Manifest) -> Loaded:
        return load(directory, manifest, self._precomputed)

    def _take(self, release: Loaded) -> None:
        """On the loop: swap between two requests, and watch the new release from now on."""
        self.engine.swap(release)
        self._taken(release.release_id)
        if self._watching is not None:
            self._watching.cancel()
        check = HealthCheck(release.funnel, self.stages, release.golden)
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
