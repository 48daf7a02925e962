import gc
from collections.abc import Iterator

import pytest

from slate.steps.garbage import collecting_rarely


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As it was, whatever a test does to it."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_it_searches_rarely_within_and_as_before_afterwards() -> None:
    gc.set_threshold(700, 11, 12)
    with collecting_rarely():
        within = gc.get_threshold()
        frozen = gc.get_freeze_count()
    assert within[0] > 10_000
    assert within[1:] == (11, 12)
    assert frozen > 1_000, "what was there is not searched"
    assert (gc.get_threshold(), gc.get_freeze_count()) == ((700, 11, 12), 0)


def test_a_failure_leaves_nothing_behind() -> None:
    before = gc.get_threshold()

    @collecting_rarely()
    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
