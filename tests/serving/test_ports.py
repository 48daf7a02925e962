"""A port that is taken is named, not shared and not a traceback."""

import asyncio
import socket
from typing import Any

import pytest

from serving.rpc import Grpc
from serving.server import listening
from serving.state import State
from slate.config import ServingConfig
from slate.errors import ConfigError

SIZES = {"grpc_max_send_message_length": -1, "grpc_max_receive_message_length": -1}


def test_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"serving\.http_port: {port} .*name another"):
            listening(port)


def test_grpc() -> None:
    engine: Any = None

    async def start(port: int) -> None:
        config = ServingConfig(grpc_port=port)
        await Grpc(State(engine, config), engine, engine, SIZES).start(1)

    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"serving\.grpc_port: {port} .*name another"):
            asyncio.run(start(port))
