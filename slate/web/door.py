"""An HTTP server that ends without losing a request."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

#: How long after the last accept a connection may still bring its request, in seconds.
_LATE: Final = 0.3
#: Longer than the gateway keeps an idle connection, so that it closes that and not this end.
IDLE_SECONDS: Final = 65


class Door(uvicorn.Server):
    """Uvicorn without signal handlers of its own, which closes its door before its connections."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: Any = None) -> None:
        for server in self.servers:
            server.close()
        # Requests on connections accepted a moment ago are still on their way: they get their answers.
        await asyncio.sleep(_LATE)
        await super().shutdown(sockets)


def door(
    app: Any,
    host: str,
    port: int,
    grace_s: float,
    protocol: str | Callable[..., asyncio.Protocol] = "httptools",
) -> Door:
    """A server of an ASGI application that logs no request and tells nobody what it is.

    Args:
        grace_s: how long work in flight may take when it is told to end.
        protocol: what reads HTTP, by uvicorn's name or as what makes a connection's protocol.
    """
    return Door(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=protocol,  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=int(max(grace_s, 1)),
        )
    )
