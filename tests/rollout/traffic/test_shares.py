"""Buckets of 100,000 users: shares, ramps and rollouts, by the definition of :mod:`slate.hashing`."""

import numpy as np
import numpy.typing as npt
import pytest

from slate.hashing import BUCKETS, bucket, fnv1a32

USERS = 100_000
SALTS = 100
RAMP = (100, 500, 2500, 5000, 10_000)

Words = npt.NDArray[np.uint32]


def users_of(count: int = USERS) -> npt.NDArray[np.uint8]:
    """The bytes of sequential ids, the kind that hashes badly."""
    ids = np.array([f"user-{number:06d}" for number in range(count)], dtype="S11")
    return ids.view(np.uint8).reshape(count, 11)


def buckets(salt: str, users: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """As :func:`slate.hashing.bucket`, of all users at once."""
    hashes: Words = np.full(len(users), fnv1a32(f"{salt}:".encode()), dtype=np.uint32)
    for place in range(users.shape[1]):
        hashes = (hashes ^ users[:, place]) * np.uint32(16777619)
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> np.uint32(16)
    return (hashes % np.uint32(BUCKETS)).astype(np.uint16)


@pytest.fixture(scope="module")
def users() -> npt.NDArray[np.uint8]:
    return users_of()


def test_all_at_once_is_one_by_one(users: npt.NDArray[np.uint8]) -> None:
    for salt in ("r1", "r-20261121T174021326379Z-6b114f7d8958-20261121T180000000000Z"):
        found = buckets(salt, users[:500])
        assert found.tolist() == [bucket(salt, f"user-{number:06d}") for number in range(500)]


@pytest.mark.parametrize("salt", ["r1", "r2", "none"])
def test_shares_are_those_asked_for(users: npt.NDArray[np.uint8], salt: str) -> None:
    found = buckets(salt, users)
    for threshold in RAMP:
        share = threshold / BUCKETS
        error = np.sqrt(share * (1 - share) / USERS)
        assert abs((found < threshold).mean() - share) <= 4 * error


def test_ramps_are_nested_and_weights_move_nobody_else(users: npt.NDArray[np.uint8]) -> None:
    found = buckets("r1", users)
    before = np.zeros(USERS, dtype=bool)
    for threshold in RAMP:
        treated = found < threshold
        assert not (before & ~treated).any()
        assert (treated != before).sum() == treated.sum() - before.sum()
        before = treated
    assert (buckets("r1", users) == found).all(), "asked again, everybody is where they were"


def test_rollouts_are_independent_of_each_other(users: npt.NDArray[np.uint8]) -> None:
    found = [buckets(f"r{number}", users) for number in range(SALTS)]
    for share in (0.05, 0.5):
        treated = np.stack([each < share * BUCKETS for each in found]).astype(np.float32)
        centred = treated - treated.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).sum(axis=1))
        z = np.sqrt(USERS) * (centred @ centred.T) / np.outer(spread, spread)
        assert np.abs(z[np.triu_indices(SALTS, 1)]).max() < 5
