"""The process behind :mod:`slate.retrieval.index.apart`: opens one index folder and searches it.

    python -P searching.py FD FOLDER

ends when nobody holds the other end of the socket FD any more. It leaves signals to whom it works for: a
server that is told to end still answers what it was asked. Nobody may take back what he gave up of his
priority, so a thread of its own imports and loads, far behind those who answer meanwhile; it is a script,
since a module's packages would be imported before it runs.
"""

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Final

#: Steps of priority by which loading stands back from searching, as the rest of a release does in a server.
_STEPS: Final = 7


def main() -> None:
    """Load when told to, then take connections."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    control, folder = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])
    if not control.recv(1):  # whoever started it needs it no more
        return
    opened: list[Any] = []
    loading = threading.Thread(target=_load, args=[folder, opened])
    loading.start()
    loading.join()
    (index,) = opened
    if isinstance(index, Exception):
        control.sendall(f"{type(index).__name__}: {index}\n".encode())
        return
    from slate.retrieval.index.apart import READY

    control.sendall(READY)
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not said:
            # Threads that search now search for nobody.
            os._exit(0)
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            threading.Thread(target=_serve, args=[index, connection], daemon=True).start()


def _load(folder: Path, opened: list[Any]) -> None:
    own = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + _STEPS)
    try:
        from slate.retrieval.index.alone import import_scann
        from slate.retrieval.index.files import open_index

        import_scann()
        opened.append(open_index(folder))
    except Exception as error:
        opened.append(error)


def _serve(index: Any, connection: socket.socket) -> None:
    """Answer one connection until it is closed."""
    import numpy as np

    from slate.retrieval.index.apart import ANSWER, QUESTION, received

    with connection:
        while True:
            try:
                count, k = QUESTION.unpack(received(connection, np.empty(QUESTION.size, np.uint8)))
                queries = received(connection, np.empty((count, index.dim), np.float32))
            except OSError:
                return
            try:
                found = index.search(queries, k)
            except Exception as error:
                message = str(error).encode()
                connection.sendall(ANSWER.pack(0, 0, len(message)) + message)
                continue
            parts = (found.rows, found.scores, found.lengths)
            connection.sendall(ANSWER.pack(*found.rows.shape, 0) + b"".join(part.tobytes() for part in parts))


if __name__ == "__main__":
    main()
