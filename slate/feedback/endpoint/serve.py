"""From a configuration to an endpoint that answers, until it is told to go."""

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from slate.clock import Clock, SystemClock
from slate.config import DatasetConfig, FeedbackConfig
from slate.feedback.endpoint.app import EventsApp
from slate.feedback.endpoint.intake import Intake
from slate.feedback.endpoint.keys import Gatekeeper, keys_from_environment
from slate.feedback.endpoint.metrics import Metrics
from slate.feedback.open import open_queue, open_state
from slate.feedback.partitions import events_stream
from slate.feedback.queue import EVENTS, EXPOSURES, QUARANTINE
from slate.feedback.signing import VARIABLE, Signer
from slate.web.door import door
from slate.web.logs import log_to

if TYPE_CHECKING:
    from slate.feedback.endpoint.tokens import Tokens

_log = logging.getLogger(__name__)


def serve(
    dataset: DatasetConfig,
    config: FeedbackConfig,
    *,
    open_to_all: bool = False,
    host: str = "0.0.0.0",  # noqa: S104 (a container's port)
    clock: Clock | None = None,
) -> None:
    """Take events in until SIGTERM or SIGINT.

    Raises:
        ConfigError: there are no keys, or they cannot be used.
        StorageError: the state cannot be opened.
    """
    clock = clock or SystemClock()
    gatekeeper = Gatekeeper(keys_from_environment(), _tokens(config), open_to_all=open_to_all)
    signer = _signer(clock)
    queue, state = open_queue(config), open_state(config, clock)
    intake = Intake(dataset, config, queue, state, signer, clock)
    streams = [*map(events_stream, range(config.partitions)), EXPOSURES, QUARANTINE]
    metrics = Metrics(queue, streams, lambda: intake.quarantine.dropped)

    def probe() -> None:
        queue.depth(EVENTS)
        state.history("")

    app = EventsApp(intake, gatekeeper, metrics, probe, config.max_body_bytes, config.max_events)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(app, config, host))
    finally:
        intake.close()
        queue.close()
        state.close()


async def _until_told(app: EventsApp, config: FeedbackConfig, host: str) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[signal.Signals] = loop.create_future()

    def tell(number: signal.Signals) -> None:
        app.draining = True
        if not told.done():
            _log.info("going down: not ready from now on, still answering")
            told.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell, number)
    server = door(app, host, config.port, config.grace_s)
    serving: asyncio.Future[Any] = asyncio.ensure_future(server.serve())
    await asyncio.wait([serving, told], return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        if told.result() == signal.SIGTERM:
            await asyncio.sleep(config.drain_s)
        server.should_exit = True
    await serving


def log_as_json() -> None:
    """Send everything that is logged to stderr, bounded, a JSON object a line; nothing of single requests."""
    log_to(logging.StreamHandler())
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _tokens(config: FeedbackConfig) -> "Tokens | None":
    if config.jwks is None:
        return None
    # Few need it, and it takes longer to load than all the rest of the endpoint.
    from slate.feedback.endpoint.tokens import Tokens

    return Tokens(Path(config.jwks), config.audience, config.issuer)


def _signer(clock: Clock) -> Signer | None:
    if not os.environ.get(VARIABLE):
        _log.warning("%s is not set: no outcome can be checked, only organic events are taken", VARIABLE)
        return None
    return Signer.from_environment(clock)
