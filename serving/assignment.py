"""What a gateway says of a request in headers, which it overwrites: nobody outside can.

What is malformed can only come from within, around the gateway. It is left out, as if nobody had said it: a
record is never worth an answer.
"""

import math
from collections.abc import Callable
from typing import Final

from slate.recommend.request import Assignment

VARIANT: Final = "x-slate-variant"
BUCKET: Final = "x-slate-bucket"
ROLLOUT: Final = "x-slate-rollout"
STEP: Final = "x-slate-step"
ALLOCATION: Final = "x-slate-allocation"
REQUEST: Final = "x-request-id"

_ASSIGNED: Final = frozenset({"stable", "candidate"})
_LONGEST: Final = 128
_BUCKETS: Final = 10_000


def assignment(header: Callable[[str], str | None]) -> Assignment | None:
    """What was said, or None where no gateway spoke.

    Args:
        header: the value of a header by its name in lower case, None where it is missing.

    >>> assignment({VARIANT: "candidate", BUCKET: "17", REQUEST: "a1"}.get)
    Assignment(variant='candidate', rollout_id=None, step=None, bucket=17, allocation=None, request_id='a1')
    """
    variant, request = header(VARIANT), header(REQUEST)
    if variant not in _ASSIGNED:
        return None
    return Assignment(
        variant,
        _text(header(ROLLOUT)),
        _text(header(STEP)),
        _bucket(header(BUCKET)),
        _share(header(ALLOCATION)),
        _text(request),
    )


def _text(value: str | None) -> str | None:
    return value if value and len(value) <= _LONGEST and value.isascii() and value.isprintable() else None


def _bucket(value: str | None) -> int | None:
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 5:
        return None
    found = int(value)
    return found if found < _BUCKETS else None


def _share(value: str | None) -> float | None:
    try:
        found = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return found if 0 <= found <= 1 else None
