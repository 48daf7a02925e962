"""Logs for machines, of bounded size: a line of JSON a record, and few lines of a kind in a time.

KServe and Uvicorn bring handlers of their own; what they say goes the same way, and nothing is said of
single requests.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from slate.config import ServingConfig
from slate.errors import ConfigError

#: The ``x-request-id`` of the request that is answered, where it came with one.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

#: Ids of what is under way, for every line written meanwhile.
Ids = Callable[[], Mapping[str, str]]

_MESSAGE: Final = 2000
_TRACEBACK: Final = 6000
_EACH: Final = 5
_ALTOGETHER: Final = 200
_SECONDS: Final = 10.0
#: They have handlers of their own unless they are told otherwise.
_FOREIGN: Final = ("kserve", "kserve.trace", "uvicorn", "uvicorn.error", "uvicorn.access")


class JsonLines(logging.Formatter):
    """A record as one line of JSON, its text cut to a bound.

    Args:
        ids: trace ids and the like.
    """

    def __init__(self, ids: Ids = dict) -> None:
        super().__init__()
        self._ids = ids

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(_message(record), _MESSAGE),
        }
        if (request := REQUEST_ID.get()) is not None:
            line["request_id"] = request
        line.update(self._ids())
        if suppressed := getattr(record, "suppressed", 0):
            line["suppressed"] = suppressed
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info)[-_TRACEBACK:]
        return orjson.dumps(line, default=str).decode()


class _Kind(NamedTuple):
    logger: str
    level: int
    text: str


_OTHER: Final = _Kind("slate", logging.WARNING, "records of other kinds")


class Bounded(logging.Handler):
    """Hands on the first few records of each kind in a time, then says how many it left out.

    Args:
        inner: writes what is handed on.
        each: how many records of one logger, level and text (before its arguments) in ``seconds``.
        altogether: how many records in ``seconds``.
    """

    def __init__(
        self,
        inner: logging.Handler,
        each: int = _EACH,
        altogether: int = _ALTOGETHER,
        seconds: float = _SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._inner = inner
        self._each = each
        self._altogether = altogether
        self._seconds = seconds
        self._now = now
        self._ends = now() + seconds
        self._passed: Counter[_Kind] = Counter()
        self._left_out: Counter[_Kind] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if self._now() >= self._ends:
            self._turn()
        kind = _Kind(record.name, record.levelno, _cut(str(record.msg), _MESSAGE))
        if self._passed[kind] < self._each and self._passed.total() < self._altogether:
            self._passed[kind] += 1
            self._inner.handle(record)
        else:
            known = kind in self._left_out or len(self._left_out) < self._altogether // 10
            self._left_out[kind if known else _OTHER] += 1

    def close(self) -> None:
        """Say what was left out, and end."""
        self.acquire()
        try:
            self._turn()
        finally:
            self.release()
        self._inner.close()
        super().close()

    def _turn(self) -> None:
        """Begin to count anew."""
        for kind, count in self._left_out.items():
            said = {"name": kind.logger, "levelno": kind.level, "levelname": logging.getLevelName(kind.level)}
            self._inner.handle(logging.makeLogRecord({**said, "msg": kind.text, "suppressed": count}))
        self._passed.clear()
        self._left_out.clear()
        self._ends = self._now() + self._seconds


def set_up(config: ServingConfig, ids: Ids = dict) -> logging.Handler:
    """Send all that is logged to stderr, or to ``log_file``, which is rotated.

    Raises:
        ConfigError: the file cannot be written.
    """
    inner: logging.Handler = logging.StreamHandler(sys.stderr)
    if config.log_file:
        path = Path(config.log_file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            inner = RotatingFileHandler(
                path, maxBytes=config.log_bytes, backupCount=config.log_files - 1, encoding="utf-8"
            )
        except OSError as error:
            raise ConfigError(
                f"serving.log_file: {path} cannot be written ({error}); name another"
            ) from error
    inner.setFormatter(JsonLines(ids))
    handler = Bounded(inner)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    # A handler that fails, on a full disk say, would write a traceback for every record.
    logging.raiseExceptions = False
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    silence_requests()
    return handler


def silence_requests() -> None:
    """Keep KServe's and Uvicorn's loggers from writing about single requests."""
    logging.getLogger("kserve.trace").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # A record whose arguments do not fit its text says at least that.
        return str(record.msg)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
