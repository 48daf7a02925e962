"""One controller at a time: ``rollouts/lease.json``, taken and kept by compare-and-swap.

No clock of another machine is believed. Whoever waits watches the object's generation: where it stays the
same for ``lease_s`` of the waiter's own time, its holder is gone. A holder renews it three times as often,
and does not believe in it longer than that itself. All that a holder writes is compared and swapped besides,
so one that slept through the loss of its lease changes nothing.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from slate.errors import ConflictError, NotFoundError, SlateError, StorageError
from slate.release.layout import ROLLOUTS
from slate.storage import ObjectStore

LEASE: Final = f"{ROLLOUTS}lease.json"

#: How long one piece of work of the holder may take before its lease is let go: it hangs.
STUCK_SECONDS: Final = 60.0

_NOBODY: Final = ""


class Lease:
    """The lease as one controller sees it.

    Args:
        holder: the controller's name.
        seconds: how long the lease lasts without being renewed.
        monotonic: real seconds that only go forward.
    """

    def __init__(
        self,
        store: ObjectStore,
        holder: str,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._holder = holder
        self._seconds = seconds
        self._monotonic = monotonic
        self._guard = threading.RLock()
        self._generation: int | None = None
        self._renewed: float | None = None
        self._seen: tuple[int | None, float] | None = None
        self._busy = monotonic()
        self.other = _NOBODY

    @property
    def held(self) -> bool:
        """Whether this controller may act now."""
        renewed = self._renewed
        return renewed is not None and self._monotonic() - renewed < self._seconds

    def hold(self) -> bool:
        """Take the lease where it is free, renew it where it is old; whether it is held now.

        Raises:
            StorageError: the store cannot be read or written. A lease that is held stays so until its time is
                over.
        """
        with self._guard:
            self._busy = self._monotonic()
            return self._hold()

    def beat(self) -> None:
        """Renew a lease that is held, while its holder is not stuck; for a thread beside the holder's."""
        with self._guard:
            if self.held and self._monotonic() - self._busy < STUCK_SECONDS:
                self._hold()

    def give_back(self) -> None:
        """Let others have it at once."""
        with self._guard:
            if self._renewed is None:
                return
            self._renewed = None
            try:
                self._store.compare_and_swap(LEASE, self._bytes(_NOBODY), self._generation)
            except SlateError:
                return  # It runs out by itself.

    def _hold(self) -> bool:
        now = self._monotonic()
        if self.held and self._renewed is not None and now - self._renewed < self._seconds / 3:
            return True
        if self._renewed is not None:
            return self._swap(self._generation, now)
        return self._take(now)

    def _take(self, now: float) -> bool:
        holder, generation = self._read()
        self.other = holder
        if holder not in (_NOBODY, self._holder):
            if self._seen is None or self._seen[0] != generation:
                self._seen = (generation, now)
            if now - self._seen[1] < self._seconds:
                return False
        return self._swap(generation, now)

    def _swap(self, generation: int | None, now: float) -> bool:
        try:
            self._generation = self._store.compare_and_swap(LEASE, self._bytes(self._holder), generation)
        except (ConflictError, NotFoundError):
            self._renewed, self._seen = None, None
            return False
        self._renewed = now
        return True

    def _read(self) -> tuple[str, int | None]:
        try:
            data, generation = self._store.read_versioned(LEASE)
        except NotFoundError:
            return _NOBODY, None
        try:
            found: Any = json.loads(data)
            return str(found["holder"]), generation
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"{self._store.describe(LEASE)}: is no lease ({error}); remove the object"
            ) from error

    def _bytes(self, holder: str) -> bytes:
        return json.dumps({"schema": 1, "holder": holder, "seconds": self._seconds}).encode()


def beating(lease: Lease, seconds: float, stop: threading.Event) -> threading.Thread:
    """A thread that renews a lease while its holder works on something long."""

    def run() -> None:
        while not stop.wait(seconds / 4):
            try:
                lease.beat()
            except StorageError:
                continue  # The holder meets the same, and says so.

    thread = threading.Thread(target=run, name="lease", daemon=True)
    thread.start()
    return thread
