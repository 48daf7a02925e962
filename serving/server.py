"""KServe's ModelServer with our data plane, the fast path before its HTTP application, and a drain."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from contextlib import AbstractAsyncContextManager
from typing import Any

import kserve
import uvloop
from kserve import model_server
from kserve.protocol.rest.server import RESTServer

from serving.dataplane import Fixed, TruthfulDataPlane
from serving.early import protocol
from serving.fast import FastPath
from serving.handlers import add_handlers
from serving.logs import silence_requests
from serving.models import ServedModel
from serving.openapi import document
from serving.rpc import Grpc
from serving.state import State
from slate.errors import ConfigError
from slate.web.door import door

logger = logging.getLogger(__name__)

#: What is open while a server serves, and what it waits for, if anything.
Alongside = AbstractAsyncContextManager["asyncio.Future[None] | None"]


def listening(port: int) -> socket.socket:
    """A socket that listens on every address.

    Raises:
        ConfigError: somebody else listens there.
    """
    try:
        return socket.create_server(("0.0.0.0", port), backlog=2048)  # noqa: S104 (a container's port)
    except OSError as error:
        raise ConfigError(
            f"serving.http_port: {port} cannot be listened on ({error.strerror}); name another port"
        ) from error


class _Rest(RESTServer):
    """KServe's HTTP server with the fast path in front."""

    def __init__(self, state: State, dataplane: TruthfulDataPlane, extension: Any) -> None:
        super().__init__("", dataplane, extension, state.config.http_port)
        self._state = state

    def create_application(self) -> None:
        super().create_application()
        add_handlers(model_server.app)
        model_server.app.openapi = lambda: document(self._state.config)
        config = self._state.config
        fast = FastPath(model_server.app, self._state)
        self._server = door(
            fast,
            "0.0.0.0",  # noqa: S104 (a container's port)
            config.http_port,
            config.grace_s,
            protocol(self._state, fast),
        )
        self.config = self._server.config

    async def start(self) -> None:
        """Serve until told to leave."""
        self.create_application()
        await self._server.serve(sockets=[listening(self._state.config.http_port)])

    def leave(self) -> None:
        """Stop accepting, finish what is under way, end."""
        self._server.should_exit = True


class Server(kserve.ModelServer):
    """Two models over HTTP and gRPC, until a signal comes.

    Args:
        state: the engine and the configuration.
    """

    def __init__(self, state: State) -> None:
        config = state.config
        super().__init__(
            http_port=config.http_port,
            grpc_port=config.grpc_port,
            enable_latency_logging=False,
            grace_period=config.grace_s,
        )
        self.state = state
        self.dataplane = TruthfulDataPlane(self.registered_models, state)
        self.model_repository_extension = Fixed(self.registered_models)
        for service in state.services.values():
            self.register_model(ServedModel(service, state.answered))
        silence_requests()
        self._rest = _Rest(state, self.dataplane, self.model_repository_extension)
        options = {**vars(model_server.args), "grpc_max_receive_message_length": config.max_body_bytes}
        self._grpc = Grpc(state, self.dataplane, self.model_repository_extension, options)

    def run(self, alongside: Alongside | None = None) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

        Args:
            alongside: open, on the loop, meanwhile. It may give what the server cannot do without, a task:
                where that fails, the server ends.

        Raises:
            SlateError: that task's.
        """
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve(alongside or contextlib.nullcontext()))

    async def serve(self, alongside: Alongside) -> None:
        """See :meth:`run`."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[signal.Signals] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, told, number)
        async with alongside as needed:
            servers: asyncio.Future[Any] = asyncio.gather(
                self._rest.start(), self._grpc.start(self.max_threads)
            )
            failed = await _until(servers, told, needed)
            if not servers.done():
                if not failed:
                    await asyncio.sleep(self.state.config.drain_s)
                self._rest.leave()
                await self._grpc.stop()
            await servers
            if failed and needed is not None:
                needed.result()

    def _told(self, told: "asyncio.Future[signal.Signals]", number: signal.Signals) -> None:
        if told.done():
            # Whoever says it twice does not want to wait for what hangs.
            logger.warning("going down at once: told twice")
            os._exit(128 + number)
        logger.info("going down: not ready from now on, still answering")
        self.state.draining = True
        told.set_result(number)


async def _until(
    servers: "asyncio.Future[Any]",
    told: "asyncio.Future[signal.Signals]",
    needed: "asyncio.Future[None] | None",
) -> bool:
    """Wait for a reason to go: the servers end, a signal came, or what is needed failed; whether that."""
    waiting: set[asyncio.Future[Any]] = {servers, told} | ({needed} if needed is not None else set())
    while True:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if servers in done or told in done:
            return False
        if needed is not None and needed.exception() is not None:
            return True
        waiting -= done
