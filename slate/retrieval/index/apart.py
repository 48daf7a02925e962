"""An index in a process of its own.

ScaNN holds Python's interpreter while it loads, for 1.8 seconds where there are a million items: a server
that loads one index beside another would answer nobody meanwhile. A process of its own does not hold it up.
"""

import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from slate.errors import ModelError
from slate.retrieval.index.base import CandidateIndex, Float32, SearchResult
from slate.retrieval.index.files import checked_record, read_ids

_log = logging.getLogger(__name__)

#: What goes over a connection: how many queries and how many results of each; after the answer's head follow
#: rows, scores and lengths, or a message of so many bytes.
QUESTION: Final = struct.Struct("<ii")
ANSWER: Final = struct.Struct("<iii")
#: What goes over the first socket: begin to load; here is a connection.
BEGIN: Final = b"b"
CONNECTION: Final = b"c"
#: With its answer to the former.
READY: Final = b"ready\n"

_SCRIPT: Final = Path(__file__).with_name("searching.py")
_EXIT_SECONDS: Final = 10.0


class IndexProcess:
    """A process that will open an index folder; it ends with the object, or with this process.

    What starts it decides its priority: start it where requests may be answered from.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        own, theirs = socket.socketpair()
        command = [sys.executable, "-P", os.fspath(_SCRIPT), str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - this project's own module
                [*command, os.fspath(directory)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._control = own
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self.pid = process.pid
        self._end = weakref.finalize(self, _end, own, self._idle, process)
        # A process that ends closes its sockets, and nobody is left to wait.
        self._end.atexit = False

    def open(self) -> None:
        """Have it load, and wait until it has.

        Raises:
            ModelError: it cannot.
        """
        told = b""
        try:
            self._control.sendall(BEGIN)
            while not told.endswith(b"\n") and (more := self._control.recv(4096)):
                told += more
        except OSError as error:
            told = str(error).encode()
        if told != READY:
            self.close()
            reason = told.decode(errors="replace").strip() or "its process ended"
            raise ModelError(f"index {self.directory}: cannot be opened in a process of its own ({reason})")

    def close(self) -> None:
        """End it. Searches under way fail."""
        self._end()

    def search(self, queries: Float32, k: int) -> SearchResult:
        """See :class:`CandidateIndex`; from any thread, each over a connection of its own.

        Raises:
            ModelError: it refuses.
            OSError: it is no more.
        """
        connection = self._connection()
        try:
            answer = _asked(connection, queries, k)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if isinstance(answer, SearchResult):
            return answer
        raise ModelError(answer)

    def _connection(self) -> socket.socket:
        try:
            return self._idle.pop()
        except IndexError:
            own, theirs = socket.socketpair()
            try:
                with theirs, self._lock:
                    socket.send_fds(self._control, [CONNECTION], [theirs.fileno()])
            except OSError:
                own.close()
                raise
            return own


class IndexApart(CandidateIndex):
    """An index folder that a process of its own searches. If that ends, searches fail until another is there.

    Args:
        process: will open the folder, and has not begun to.

    Raises:
        ModelError: a file is missing or does not fit the others.
    """

    def __init__(self, process: IndexProcess) -> None:
        self._directory = process.directory
        record = checked_record(process.directory)
        super().__init__(record["kind"], record["dim"], read_ids(process.directory, record))
        process.open()
        self._parameters: dict[str, int] = record["parameters"]
        self._process = process
        self._opening = threading.Lock()

    @property
    def parameters(self) -> Mapping[str, int]:
        return self._parameters

    def write(self, directory: Path) -> None:
        raise NotImplementedError("copy the folder that it was opened from")

    def _search(self, queries: Float32, k: int) -> SearchResult:
        process = self._process
        try:
            return process.search(queries, k)
        except OSError as error:
            if self._opening.acquire(blocking=False):
                threading.Thread(target=self._again, args=[process], name="index", daemon=True).start()
            raise ModelError(
                f"index {self._directory}: its process {process.pid} is no more; another one is started"
            ) from error

    def _again(self, ended: IndexProcess) -> None:
        try:
            if self._process is ended:
                ended.close()
                process = IndexProcess(self._directory)
                process.open()
                self._process = process
        except Exception as error:
            # The next search tries again.
            _log.error("%s", error)
        finally:
            self._opening.release()


def _asked(connection: socket.socket, queries: Float32, k: int) -> SearchResult | str:
    """The result, or why there is none."""
    connection.sendall(QUESTION.pack(len(queries), k) + queries.tobytes())
    count, width, refusal = ANSWER.unpack(received(connection, np.empty(ANSWER.size, np.uint8)))
    if refusal:
        return bytes(received(connection, np.empty(refusal, np.uint8))).decode()
    return SearchResult(
        received(connection, np.empty((count, width), np.int32)),
        received(connection, np.empty((count, width), np.float32)),
        received(connection, np.empty(count, np.int32)),
    )


def received(connection: socket.socket, array: Any) -> Any:
    """An array filled with the next bytes."""
    view, got = memoryview(array).cast("B"), 0
    while got < len(view):
        more = connection.recv_into(view[got:], 0, socket.MSG_WAITALL)
        if not more:
            raise ConnectionResetError("the index's process closed the connection")
        got += more
    return array


def _end(control: socket.socket, idle: list[socket.socket], process: "subprocess.Popen[bytes]") -> None:
    for connection in (control, *idle):
        connection.close()

    def wait() -> None:
        try:
            process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    # Whoever drops a release does not wait.
    threading.Thread(target=wait, name="index-ends", daemon=True).start()
