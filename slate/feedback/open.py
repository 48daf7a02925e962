"""Where queue and online state are: Redis where ``SLATE_REDIS_URL`` names one, an SQLite file elsewhere."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from slate.clock import Clock
from slate.config import FeedbackConfig
from slate.errors import ConfigError
from slate.feedback.queue import Queue
from slate.feedback.shown import RedisShown, ShownSlates, SqliteShown
from slate.feedback.sqlite_file import FULL, NORMAL
from slate.feedback.sqlite_queue import SqliteQueue
from slate.feedback.sqlite_state import SqliteState
from slate.feedback.state import OnlineState

if TYPE_CHECKING:
    from slate.feedback.redis_server import RedisServer

VARIABLE: Final = "SLATE_REDIS_URL"
_POWER: Final = "power"


def open_queue(config: FeedbackConfig, remember_seconds: float | None = None) -> Queue:
    """The durable streams.

    Args:
        remember_seconds: for how long an id counts as seen; as long as an event may be late by default.

    Raises:
        ConfigError: ``SLATE_REDIS_URL`` is no address, or that Redis is not seen to keep what
            ``feedback.durability`` asks for.
        StorageError: it does not answer, or the file cannot be used.
    """
    remembered = config.max_age_s + config.max_ahead_s if remember_seconds is None else remember_seconds
    server = _redis(config)
    if server is not None:
        from slate.feedback.redis_queue import RedisQueue

        return RedisQueue(server, config.pending, remembered)
    return SqliteQueue(
        Path(config.state), _synchronous(config), pending=config.pending, remember_seconds=remembered
    )


def open_state(config: FeedbackConfig, clock: Clock | None = None) -> OnlineState:
    """What users did since the release, and what changed in the catalogue.

    Raises:
        ConfigError: see :func:`open_queue`.
        StorageError: likewise.
    """
    server = _redis(config)
    if server is not None:
        from slate.feedback.redis_state import RedisState

        return RedisState(server, clock)
    return SqliteState(Path(config.state), _synchronous(config), clock=clock)


def open_shown(config: FeedbackConfig) -> ShownSlates:
    """The slates of the last ``feedback.window_s``.

    Raises:
        ConfigError: see :func:`open_queue`.
        StorageError: likewise.
    """
    server = _redis(config)
    return SqliteShown(Path(config.state), _synchronous(config)) if server is None else RedisShown(server)


def describe(config: FeedbackConfig) -> str:
    """Where they are, without any password.

    Raises:
        ConfigError: ``SLATE_REDIS_URL`` is no address.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        return config.state
    from slate.feedback.redis_server import address

    return address(url)


def _redis(config: FeedbackConfig) -> "RedisServer | None":
    url = os.environ.get(VARIABLE)
    if not url:
        return None
    try:
        from slate.feedback.redis_server import RedisServer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{VARIABLE}: needs {error.name}; install slate-recommender with the extra [serve]"
        ) from error
    return RedisServer(url, None if config.redis_unchecked else config.durability)


def _synchronous(config: FeedbackConfig) -> str:
    return FULL if config.durability == _POWER else NORMAL
