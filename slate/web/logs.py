"""Logs for machines, of bounded size: a line of JSON a record, and few lines of a kind in a time."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

#: Ids of what is under way, for every line written meanwhile.
Ids = Callable[[], Mapping[str, str]]

_MESSAGE: Final = 2000
_TRACEBACK: Final = 6000
_EACH: Final = 5
_ALTOGETHER: Final = 200
_SECONDS: Final = 10.0


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
        line.update(self._ids())
        if suppressed := getattr(record, "suppressed", 0):
            line["suppressed"] = suppressed
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info)[-_TRACEBACK:]
        return json.dumps(line, default=str, ensure_ascii=False)


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


def log_to(inner: logging.Handler, ids: Ids = dict) -> logging.Handler:
    """Send all that this process logs to a handler, bounded, a line of JSON a record."""
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
    return handler


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # A record whose arguments do not fit its text says at least that.
        return str(record.msg)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
