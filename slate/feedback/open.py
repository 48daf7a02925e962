"""Where queue and online state are: Redis where ``SLATE_REDIS_URL`` names one, an SQLite file elsewhere."""

from pathlib import Path
from typing import Final

from slate.clock import Clock
from slate.config import FeedbackConfig
from slate.feedback.queue import Queue
from slate.feedback.sqlite_file import FULL, NORMAL
from slate.feedback.sqlite_queue import SqliteQueue
from slate.feedback.sqlite_state import SqliteState
from slate.feedback.state import OnlineState

VARIABLE: Final = "SLATE_REDIS_URL"
POWER: Final = "power"


def open_queue(config: FeedbackConfig) -> Queue:
    """The durable streams.

    Raises:
        ConfigError: ``SLATE_REDIS_URL`` is no address, or that Redis keeps less than ``feedback.durability``
            asks for.
        StorageError: it does not answer, or the file cannot be used.
    """
    remembered = config.max_age_s + config.max_ahead_s
    return SqliteQueue(
        Path(config.state), _synchronous(config), pending=config.pending, remember_seconds=remembered
    )


def open_state(config: FeedbackConfig, clock: Clock | None = None) -> OnlineState:
    """What users did since the release, and what changed in the catalogue.

    Raises:
        ConfigError: see :func:`open_queue`.
        StorageError: likewise.
    """
    return SqliteState(Path(config.state), _synchronous(config), clock=clock)


def _synchronous(config: FeedbackConfig) -> str:
    return FULL if config.durability == POWER else NORMAL
