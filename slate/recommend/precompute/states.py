"""The released users that one part of a batch run answers for."""

from collections.abc import Iterator
from typing import NamedTuple

from slate.recommend.opened import Opened
from slate.recommend.precompute.partition import Partition
from slate.recommend.users import UserRecord


class Known(NamedTuple):
    """One released user."""

    user_id: str
    record: UserRecord


class ReleasedUsers:
    """The users of one partition of a release, sorted by id.

    Partitions are cut by places in the users file, so that they depend on the release alone. Ids between the
    last of one partition and the first of the next belong to the former: ``owns`` says so for anybody.
    """

    def __init__(self, release: Opened, partition: Partition) -> None:
        self._users = release.users
        self._partition = partition
        self._places = partition.rows(len(self._users))
        self._from = self._id_at(self._places.start) if partition.index else None
        self._to = self._id_at(self._places.stop)

    def __len__(self) -> int:
        return len(self._places)

    def owns(self, user_id: str) -> bool:
        """Whether somebody, known or not, falls into this partition."""
        if self._partition.index and self._from is None:
            return False
        return (self._from is None or user_id >= self._from) and (self._to is None or user_id < self._to)

    def after(self, user_id: str | None) -> Iterator[Known]:
        """All users whose id is above this one."""
        start, stop = self._places.start, self._places.stop
        if user_id is not None:
            passed = self._users.place(user_id)
            if passed < len(self._users) and self._users.id_at(passed) == user_id:
                passed += 1
            start = max(start, passed)
        for place in range(start, stop):
            yield Known(self._users.id_at(place), self._users.record_at(place))

    def _id_at(self, place: int) -> str | None:
        return self._users.id_at(place) if place < len(self._users) else None
