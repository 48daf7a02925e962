"""Chance that depends on nothing but what it is about."""

import hashlib
from typing import Final

_WHOLE: Final = 2.0**64


def chance(seed: int, *about: str | int) -> float:
    """A number in [0, 1) that is always the same for the same seed and subject.

    Who asks, when, and what was asked before changes nothing: whatever answers a user, the user's own choices
    are these. The numbers of different subjects are independent (BLAKE2b).

    >>> chance(1, "user", 7) == chance(1, "user", 7) != chance(1, "user", 8)
    True
    """
    text = "\x1f".join(map(str, (seed, *about)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / _WHOLE
