"""Salted user buckets: the one definition of who falls where.

``bucket = fmix32(fnv1a32(utf8(salt + ":" + user_id))) mod 10000``. FNV-1a:
Fowler, Noll and Vo, IETF draft-eastlake-fnv; fmix32: the finaliser of MurmurHash3 (Appleby).
FNV-1a alone correlates across salts, the finaliser removes that.
"""

from typing import Final

BUCKETS: Final = 10_000
_MASK: Final = 0xFFFFFFFF


def fnv1a32(data: bytes) -> int:
    """The 32-bit FNV-1a hash of ``data``."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & _MASK
    return value


def fmix32(value: int) -> int:
    """MurmurHash3's 32-bit finaliser."""
    value ^= value >> 16
    value = (value * 0x85EBCA6B) & _MASK
    value ^= value >> 13
    value = (value * 0xC2B2AE35) & _MASK
    return value ^ (value >> 16)


def bucket(salt: str, user_id: str) -> int:
    """The bucket of a user under a salt, 0 to 9999.

    >>> bucket("r1", "42"), bucket("r1", "é"), bucket("r2", "user-000001")
    (7194, 9705, 3073)
    """
    return fmix32(fnv1a32(f"{salt}:{user_id}".encode())) % BUCKETS
