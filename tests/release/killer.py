"""Publishes in forked children that kill themselves at a chosen moment. Run as a program by test_kill.py.

Reads one JSON line per case ({"uri", "folder", "release_id", "mode", "index"}) and answers with the
child's wait status. A child that outlives its moment exits with 0.
"""

import contextlib
import http.client
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import slate.storage.gcs
from slate.release.channels import take_if_empty
from slate.release.publish import publish
from slate.storage import ObjectStore, open_store

STORE_CALLS = (
    *("read", "read_versioned", "write_new", "compare_and_swap", "upload_file", "entries", "exists"),
    *("delete", "size", "download"),
)


class Moment:
    """Counts what passes and strikes at the ``index``-th."""

    def __init__(self, index: int) -> None:
        self.left = index

    def is_now(self) -> bool:
        self.left -= 1
        return self.left < 0


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def around_calls(store: ObjectStore, moment: Moment, after: bool) -> None:
    """Die before, or right after, the n-th call of the store."""

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            now = moment.is_now()
            if now and not after:
                die()
            result = call(*arguments)
            return die() if now else result

        return run

    for name in STORE_CALLS:
        setattr(store, name, wrapped(getattr(store, name)))


def in_the_file_system(uri: str, moment: Moment) -> None:
    """Die before the n-th thing that Python asks of the file system below the store."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        about_files = event == "open" or event.startswith(("os.", "fcntl."))
        inside = any(isinstance(a, str | os.PathLike) and str(a).startswith(uri) for a in arguments)
        if about_files and (inside or event in ("os.truncate", "fcntl.flock")) and moment.is_now():
            die()

    sys.addaudithook(hook)


def half_written(moment: Moment) -> None:
    """Die at the n-th flush to disk, with half of the file written."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if moment.is_now():
            size = os.fstat(descriptor).st_size
            with contextlib.suppress(OSError):  # A directory, or open for reading only.
                os.ftruncate(descriptor, size // 2)
            die()
        real(descriptor)

    os.fsync = fsync


def half_sent(moment: Moment) -> None:
    """Die with half of the n-th piece of a request sent."""
    real = http.client.HTTPConnection.send

    def send(connection: http.client.HTTPConnection, data: Any) -> None:
        if moment.is_now():
            piece = bytes(data)
            real(connection, piece[: len(piece) // 2])
            die()
        real(connection, data)

    http.client.HTTPConnection.send = send  # type: ignore[method-assign]


def unanswered(moment: Moment) -> None:
    """Die when the server has answered the n-th request, before anybody reads the answer."""
    real = http.client.HTTPConnection.getresponse

    def getresponse(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        response = real(connection)
        if moment.is_now():
            die()
        return response

    http.client.HTTPConnection.getresponse = getresponse  # type: ignore[method-assign]


def child(case: dict[str, Any]) -> NoReturn:
    store = open_store(case["uri"])
    moment = Moment(case["index"])
    mode = case["mode"]
    if mode in ("before", "after"):
        around_calls(store, moment, after=mode == "after")
    elif mode == "file system":
        in_the_file_system(case["uri"], moment)
    elif mode == "half written":
        half_written(moment)
    elif mode == "half sent":
        half_sent(moment)
    elif mode == "unanswered":
        unanswered(moment)
    else:
        raise AssertionError(mode)
    publish(store, Path(case["folder"]))
    take_if_empty(store, "stable", case["release_id"])
    os._exit(0)


def main() -> None:
    assert slate.storage.gcs is not None
    assert "tensorflow" not in sys.modules
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                child(json.loads(line))
            finally:
                os._exit(3)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
