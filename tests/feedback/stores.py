"""A real Redis of a test's own: started, killed and started again on the same files."""

import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

_PATIENCE = 30.0


class RedisProcess:
    """``redis-server`` with an append-only file in ``folder``, on a free port of the loopback."""

    def __init__(self, folder: Path, flush: str = "no", append_only: bool = True) -> None:
        found = shutil.which("redis-server")
        if found is None:
            pytest.skip("redis-server is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._command = [found, "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        self._command += ["--appendonly", "yes" if append_only else "no", "--appendfsync", flush]
        for _ in range(5):
            self.port = free_port()
            if self.start():
                return
        raise AssertionError(f"redis-server does not start; see {folder}/log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> bool:
        """Start and wait until it answers; false where it ended, the port being taken."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--port", str(self.port)], stdout=log, stderr=log
            )
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with Redis(port=self.port, socket_timeout=5) as client:
                    # Somebody else's server may have taken the port.
                    if client.config_get("dir")["dir"] == str(self.folder.resolve()):
                        return True
            except (RedisError, KeyError):
                time.sleep(0.01)
        self.kill()
        return False

    def kill(self) -> None:
        """SIGKILL, at once."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def clear(self) -> None:
        with Redis(port=self.port) as client:
            client.flushall()


def free_port() -> int:
    """A port that the kernel gives to no outgoing connection, so that it is still free after a kill."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
