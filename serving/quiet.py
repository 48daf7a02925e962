"""KServe logs a line a request, and a traceback a mistake of a client's: a log may not grow with traffic."""

import logging

from grpc_interceptor.exceptions import GrpcException
from kserve import errors as kserve_errors

_EXPECTED = (
    GrpcException,
    kserve_errors.InvalidInput,
    kserve_errors.ModelNotFound,
    kserve_errors.ModelNotReady,
    NotImplementedError,
)


class _Traffic(logging.Filter):
    """Drops what is said of single requests, unless it is a fault of the server."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], _EXPECTED):
            return False
        return not str(record.msg).startswith("grpc method:")


def silence_requests() -> None:
    """Keep KServe's and Uvicorn's loggers from writing about single requests."""
    kserve_logger = logging.getLogger("kserve")
    if not any(isinstance(each, _Traffic) for each in kserve_logger.filters):
        kserve_logger.addFilter(_Traffic())
    logging.getLogger("kserve.trace").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False
