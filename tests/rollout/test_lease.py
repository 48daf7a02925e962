import random
import threading
from pathlib import Path

import pytest

from slate.errors import StorageError
from slate.rollout.lease import LEASE, STUCK_SECONDS, Lease
from slate.storage import ObjectStore, open_store


class Watch:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path / "store")


def test_one_holds_it_and_the_other_waits_until_it_is_not_renewed(store: ObjectStore) -> None:
    watch = Watch()
    first, second = (Lease(store, name, 5.0, watch) for name in ("one", "two"))
    assert first.hold()
    for _ in range(20):
        watch.seconds += 1
        assert first.hold()
        assert not second.hold()
    assert second.other == "one"
    # The first is gone: the second waits its whole time, counted from the last renewal that it saw.
    watch.seconds += 4.9
    assert not second.hold()
    watch.seconds += 5.0
    assert second.hold()
    assert not first.held
    assert not first.hold()


def test_it_is_given_back_at_once(store: ObjectStore) -> None:
    watch = Watch()
    first, second = (Lease(store, name, 5.0, watch) for name in ("one", "two"))
    assert first.hold()
    assert not second.hold()
    first.give_back()
    assert not first.held
    assert second.hold()
    first.give_back()
    assert second.hold()


def test_nobody_believes_in_a_lease_longer_than_it_lasts(store: ObjectStore) -> None:
    watch = Watch()
    lease = Lease(store, "one", 5.0, watch)
    assert lease.hold()
    watch.seconds += 5.0
    assert not lease.held
    # Nobody took it, so it goes on.
    assert lease.hold()


def test_a_thread_renews_it_for_a_holder_that_works_but_not_for_one_that_hangs(store: ObjectStore) -> None:
    watch = Watch()
    lease, other = Lease(store, "one", 5.0, watch), Lease(store, "two", 5.0, watch)
    assert lease.hold()
    for _ in range(int(STUCK_SECONDS) - 1):
        watch.seconds += 1
        lease.beat()
        assert lease.held
        assert not other.hold()
    for _ in range(15):
        watch.seconds += 1
        lease.beat()
        other.hold()
    assert other.held
    assert not lease.held
    lease.beat()
    assert not lease.held


def test_an_object_that_is_no_lease_is_named(store: ObjectStore) -> None:
    store.write_new(LEASE, b"[]")
    with pytest.raises(StorageError, match="is no lease"):
        Lease(store, "one", 5.0).hold()


def test_of_many_that_try_at_once_one_holds_it(store: ObjectStore) -> None:
    leases = [Lease(store, f"c{number}", 60.0) for number in range(8)]
    held: list[bool] = []

    def take(lease: Lease) -> None:
        for _ in range(random.Random(lease.other).randrange(1, 5)):
            found = lease.hold()
        held.append(found)

    threads = [threading.Thread(target=take, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(held) == 1
