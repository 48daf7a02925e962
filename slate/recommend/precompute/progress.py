"""How far a partition is, kept in the object store, so that whoever takes it up next goes on from there."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from slate.clock import isoformat
from slate.errors import ConflictError, DataError, NotFoundError
from slate.recommend.precompute.partition import Partition
from slate.storage import ObjectStore

#: A store takes one write a second of one object, and no more.
_PAUSE_S: Final = 5.0


@dataclass(frozen=True)
class Figures:
    """What was done: users looked at, slates kept and their bytes, and how many users have none, by reason.

    ``seconds`` are those of the processes together. ``resumed`` users of an earlier run were not looked at
    again.
    """

    users: int = 0
    slates: int = 0
    bytes: int = 0
    seconds: float = 0.0
    resumed: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Figures") -> "Figures":
        names = sorted({*self.skipped, *other.skipped})
        return Figures(
            self.users + other.users,
            self.slates + other.slates,
            self.bytes + other.bytes,
            self.seconds + other.seconds,
            self.resumed + other.resumed,
            {name: self.skipped.get(name, 0) + other.skipped.get(name, 0) for name in names},
        )


@dataclass(frozen=True)
class Progress:
    """Everybody up to ``after`` is done, and of those that the release does not know up to ``newcomer``.

    ``at`` is the instant of the requests and ``items`` how many they ask for: the same for all of a run.
    """

    at: datetime
    items: int
    after: str | None = None
    newcomer: str | None = None
    figures: Figures = Figures()


class Journal:
    """The progress of one partition of one release.

    Args:
        new: where a run that begins anew stands.
        resume_h: a run that is older by so many hours, or asked for other slates, is not gone on with.

    Raises:
        DataError: what is kept is no progress.
    """

    def __init__(
        self, store: ObjectStore, release_id: str, partition: Partition, new: Progress, resume_h: float
    ) -> None:
        self._store = store
        self._key = f"precomputed/{release_id}/{partition.index}-of-{partition.count}.json"
        self._generation: int | None = None
        self._written = time.monotonic()
        self.progress = new
        try:
            data, self._generation = store.read_versioned(self._key)
        except NotFoundError:
            return
        found = self._parsed(data)
        recent = new.at - timedelta(hours=resume_h) <= found.at <= new.at
        if recent and found.items == new.items:
            self.progress = replace(found, figures=replace(found.figures, resumed=found.figures.users))

    def add(self, progress: Progress) -> None:
        """Remember it; every few seconds it is kept."""
        self.progress = progress
        if time.monotonic() - self._written >= _PAUSE_S:
            self.keep()

    def keep(self) -> None:
        """Keep it now.

        Raises:
            ConflictError: another process works on the same partition.
        """
        try:
            self._generation = self._store.compare_and_swap(self._key, self._content(), self._generation)
        except ConflictError as error:
            raise ConflictError(
                f"{self._store.describe(self._key)}: another process computes the same slates; "
                "wait for it to end, or give each process a partition of its own"
            ) from error
        self._written = time.monotonic()

    def end(self) -> None:
        """All is done, and the next run begins anew."""
        self._store.delete(self._key)
        self._generation = None

    def _content(self) -> bytes:
        record = {**asdict(self.progress), "schema": 1, "at": isoformat(self.progress.at)}
        return json.dumps(record, indent=1, sort_keys=True).encode()

    def _parsed(self, data: bytes) -> Progress:
        try:
            record: dict[str, Any] = json.loads(data)
            del record["schema"]
            record["at"] = datetime.fromisoformat(record["at"])
            return Progress(**{**record, "figures": Figures(**record["figures"])})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{self._store.describe(self._key)}: is no progress of a batch run ({error}); delete it"
            ) from error
