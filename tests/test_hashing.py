import pytest

from slate.hashing import BUCKETS, bucket, fmix32, fnv1a32


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)]
)
def test_fnv1a_gives_the_published_vectors(data: bytes, expected: int) -> None:
    assert fnv1a32(data) == expected


def test_the_finaliser_is_a_bijection_that_fixes_zero() -> None:
    assert fmix32(0) == 0
    assert fmix32(1) == 0x514E28B7
    assert len({fmix32(value) for value in range(20_000)}) == 20_000


@pytest.mark.parametrize(
    ("salt", "user", "expected"), [("r1", "42", 7194), ("r1", "é", 9705), ("r2", "user-000001", 3073)]
)
def test_buckets_agree_with_the_contract(salt: str, user: str, expected: int) -> None:
    assert bucket(salt, user) == expected


def test_the_salt_and_the_user_are_told_apart() -> None:
    assert bucket("holdout", "7") != bucket("rollout", "7")
    assert bucket("r", "1") != bucket("r1", "")


def test_buckets_spread_evenly() -> None:
    share = sum(bucket("holdout", f"user-{n:06d}") < 0.02 * BUCKETS for n in range(20_000)) / 20_000
    # 4 standard errors of a share of 2% in 20,000 draws.
    assert abs(share - 0.02) < 0.004
