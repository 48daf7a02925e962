"""The model server's log. KServe and Uvicorn bring handlers of their own; what they say goes the same way,
and nothing is said of single requests.
"""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from slate.config import ServingConfig
from slate.errors import ConfigError
from slate.web.logs import Ids, log_to

#: The ``x-request-id`` of the request that is answered, where it came with one.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

#: They have handlers of their own unless they are told otherwise.
_FOREIGN: Final = ("kserve", "kserve.trace", "uvicorn", "uvicorn.error", "uvicorn.access")


def with_request(ids: Ids) -> Ids:
    """These ids, and that of the request under way."""

    def known() -> Mapping[str, str]:
        request = REQUEST_ID.get()
        return ids() if request is None else {"request_id": request, **ids()}

    return known


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
    handler = log_to(inner, with_request(ids))
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
