"""Why a request, or one event of it, does not go on."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from slate.errors import SlateError

_SHOWN: Final = 60


class BadFieldError(SlateError):
    """One event or item cannot be used: which field, what is wrong with it, and what to send instead."""

    def __init__(self, field: str, problem: str, advice: str) -> None:
        super().__init__(f"{field}: {problem}; {advice}")
        self.field = field


class RefusedError(SlateError):
    """A whole request is refused; nothing of it was taken.

    Args:
        retry_after: seconds after which it may be sent again.
    """

    def __init__(self, status: HTTPStatus, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True)
class Rejected:
    """One part of a request that was not taken: its place, and the reason."""

    index: int
    reason: str


def shown(value: object) -> str:
    """A value as a message shows it: short, and nothing of it unprintable."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
