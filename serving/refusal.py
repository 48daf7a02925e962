"""Every way in which a request is refused, and the one table from exceptions to statuses."""

import logging
import math
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from kserve import errors as kserve_errors

from slate.errors import SlateError
from slate.recommend.engine import NotReadyError, OverloadedError

logger = logging.getLogger(__name__)

_SHOWN: Final = 60
#: When to ask a server again that is not ready.
_AGAIN_SECONDS: Final = 1
_STATUSES: Final[tuple[tuple[type[Exception], HTTPStatus], ...]] = (
    (NotReadyError, HTTPStatus.SERVICE_UNAVAILABLE),
    # Versions, :explain: what KServe's protocol knows and no model here offers.
    (NotImplementedError, HTTPStatus.NOT_FOUND),
    (kserve_errors.InvalidInput, HTTPStatus.BAD_REQUEST),
    (kserve_errors.ModelNotFound, HTTPStatus.NOT_FOUND),
    (kserve_errors.ModelNotReady, HTTPStatus.SERVICE_UNAVAILABLE),
    (kserve_errors.ServerNotReady, HTTPStatus.SERVICE_UNAVAILABLE),
    (kserve_errors.UnsupportedProtocol, HTTPStatus.BAD_REQUEST),
)


class InputError(SlateError):
    """A request cannot be understood: which field, what is wrong with it, and what to send instead."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, path: str, problem: str, advice: str) -> None:
        super().__init__(f"{path}: {problem}; {advice}")
        self.path = path
        self.problem = problem
        self.advice = advice

    def within(self, place: str) -> "InputError":
        """The same problem seen from outside: ``k`` within ``instances[3]`` is ``instances[3].k``."""
        path = f"{place}.{self.path}" if self.path else place
        return type(self)(path, self.problem, self.advice)


class TooLargeError(InputError):
    """The body is larger than the server takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class WrongMethodError(InputError):
    """The address exists, but not for this method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


@dataclass(frozen=True)
class Refusal:
    """A status, a sentence, and in how many seconds to ask again."""

    status: HTTPStatus
    message: str
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        if self.status == HTTPStatus.METHOD_NOT_ALLOWED:
            return {"allow": "POST"}
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}


class RefusedError(Exception):
    """Carries a refusal through a framework to the handler that answers it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refusal_of(error: Exception) -> Refusal:
    """What a client is told of an exception. The unexpected is logged under an id that the client gets."""
    if isinstance(error, RefusedError):
        return error.refusal
    if isinstance(error, InputError):
        return Refusal(error.status, str(error))
    if isinstance(error, OverloadedError):
        status = HTTPStatus.SERVICE_UNAVAILABLE if error.draining else HTTPStatus.TOO_MANY_REQUESTS
        return Refusal(status, str(error), max(math.ceil(error.retry_after), 0))
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            again = _AGAIN_SECONDS if status == HTTPStatus.SERVICE_UNAVAILABLE else None
            return Refusal(status, str(error), again)
    incident = uuid.uuid4().hex[:12]
    logger.error("unexpected error %s", incident, exc_info=error)
    return Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"server: unexpected error {incident}; the server's log tells more under this id",
    )


def shown(value: object) -> str:
    """A value as an error message shows it: short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
