"""From a configuration to a server that answers: the engine, its metrics, its log of exposures."""

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from serving.logs import set_up
from serving.metrics import Metrics
from serving.server import Server
from serving.state import State
from serving.tracing import Spans, spans_from_environment
from slate.config import FeedbackConfig, ServingConfig
from slate.errors import StorageError
from slate.feedback import open as feedback_stores
from slate.feedback.exposure import ExposureLog
from slate.feedback.later import Appends, OpenedLater
from slate.feedback.queue import EXPOSURES, SHADOW_EXPOSURES
from slate.feedback.signing import VARIABLE, Signer
from slate.feedback.writer import RETRIED_SECONDS, BackgroundWriter
from slate.recommend.live.online import OnlineLive
from slate.recommend.online.host import Host
from slate.recommend.request import Request, Slate
from slate.release.manifest import Manifest
from slate.release.resolve import open_verified
from slate.retrieval.index.alone import import_scann
from slate.storage import open_store

_log = logging.getLogger(__name__)

#: Seconds after which a thread that computes in Python lets another: a release that is loaded beside, which
#: does little else for a second, must not hold up each step of a request for the usual 5 ms.
_TURN: Final = 0.0005

SHADOW: Final = "shadow"
VARIANTS: Final = ("stable", "candidate", SHADOW)

Start = Callable[[Host], "contextlib.AbstractAsyncContextManager[None]"]


def serve(
    config: ServingConfig,
    *,
    release: str | None,
    store: str | None,
    channel: str,
    variant: str,
    cache_dir: Path | None = None,
    feedback: FeedbackConfig | None = None,
) -> None:
    """Serve until a signal comes.

    Args:
        release: a release folder, an id (with ``store``) or a ``gs://`` address: this one for good.
        store: with no ``release``, what its ``channel`` names, now and later.
        variant: what the answers say, and which stream their exposures go to.
        feedback: how queue and online state are kept; the file is that of ``config``.

    Raises:
        SlateError: the pinned release may not answer, or the signing keys or the state file are unusable.
    """
    sys.setswitchinterval(_TURN)
    import_scann()
    spans = spans_from_environment(variant)
    set_up(config, dict if spans is None else spans.ids)
    metrics = Metrics(variant, channel if release is None else "", config.deadline_ms / 1000)
    kept = (feedback or FeedbackConfig()).model_copy(update={"state": config.state})
    writer = BackgroundWriter(_queue(kept), SHADOW_EXPOSURES if variant == SHADOW else EXPOSURES)
    exposures = ExposureLog(variant, _signer(), writer)

    def expose(request: Request, slate: Slate, seconds: float) -> str | None:
        metrics.slate(slate)
        if spans is not None:
            spans.slate(slate)
        return exposures.expose(
            request.user_id,
            slate.release_id,
            slate.rung,
            slate.items,
            request.context,
            seconds,
            request.assignment,
        )

    def taken(release_id: str) -> None:
        metrics.taken(release_id)
        if not gc.get_freeze_count():
            _keep_what_is_there()

    live = OnlineLive(lambda: feedback_stores.open_state(kept), config, metrics)
    host = Host(
        config,
        variant,
        observe=metrics.stage,
        filtered=metrics.filtered,
        expose=expose,
        fallen=metrics.fallen,
        taken=taken,
        source_failed=metrics.source_failed,
        live=live,
        tracing=spans,
    )
    metrics.watch(host.engine, exposures)

    @contextlib.asynccontextmanager
    async def answering() -> AsyncIterator[asyncio.Task[None] | None]:
        loading = None
        await asyncio.to_thread(live.start)
        if release is not None:
            loading = asyncio.create_task(host.pin(lambda: _found(release, store, cache_dir)))
        elif store is not None:
            await host.follow(open_store(store), channel, cache_dir, config.poll_s)
        try:
            yield loading
        finally:
            if loading is not None:
                loading.cancel()
            await host.stop()
            writer.close()
            live.close()
            _close(spans)

    Server(State(host.engine, config, metrics.answered, spans)).run(answering())


def _keep_what_is_there() -> None:
    """Spare the garbage collector whatever lives as long as the server: libraries, and the first release.

    It would look at all of it again, some 300,000 objects, whenever enough requests were held for a while;
    that takes 0.2 s, in which nobody is answered. A release holds no cycles, so one that is dropped goes.
    """
    gc.collect()
    gc.freeze()


def _found(release: str, store: str | None, cache_dir: Path | None) -> tuple[Path, Manifest]:
    opened = open_verified(release, None if store is None else open_store(store), cache_dir)
    return opened.path, opened.manifest


def _queue(config: FeedbackConfig) -> Appends:
    """Where exposures go. A Redis that is down keeps nobody from answering; a file that is unusable does."""

    def opened() -> Appends:
        return feedback_stores.open_queue(config, RETRIED_SECONDS)

    try:
        return opened()
    except StorageError as error:
        if not os.environ.get(feedback_stores.VARIABLE):
            raise
        _log.warning("exposures wait until the queue can be opened: %s", error)
        return OpenedLater(opened)


def _close(spans: Spans | None) -> None:
    if spans is not None:
        spans.close()


def _signer() -> Signer | None:
    if not os.environ.get(VARIABLE):
        _log.warning("%s is not set: slates get no exposure_id, and what is shown is not recorded", VARIABLE)
        return None
    return Signer.from_environment()
