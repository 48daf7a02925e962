"""Which variants a rollout needs just now."""

import threading
import time
from collections.abc import Callable
from typing import Final

from slate.errors import NotFoundError, SlateError
from slate.release.channels import CANDIDATE, SHADOW
from slate.release.rollouts import read_pointer
from slate.rollout.state import RolloutStatus, read_state
from slate.storage import ObjectStore

_SECONDS: Final = 0.5
#: A server that nobody needs any more stays so long: requests that are on their way find it.
_GRACE_SECONDS: Final = 5.0


def needed(store: ObjectStore) -> frozenset[str]:
    """The candidate from the beginning, so that it is warm when its first users come; the shadow in its step.

    Until the pointer says that the gateway knows of the end, users may still be sent to the candidate.

    Raises:
        RolloutError, StorageError: the store does not tell.
    """
    pointer = read_pointer(store)
    if pointer is None or pointer.ended:
        return frozenset()
    try:
        state = read_state(store, pointer.rollout_id).state
    except NotFoundError:
        return frozenset()
    return frozenset({CANDIDATE, SHADOW} if state.status is RolloutStatus.SHADOW else {CANDIDATE})


class Demand:
    """Asks again and again, in a thread of its own: a store may be slow.

    Args:
        tell: told once of every problem; as long as there is one, what was needed is needed.
    """

    def __init__(self, store: ObjectStore, tell: Callable[[str], None]) -> None:
        self._store = store
        self._tell = tell
        self._said = ""
        self._needed: frozenset[str] = frozenset()
        self._left: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demand", daemon=True)

    def start(self) -> None:
        """Ask once, then go on in the thread."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def variants(self) -> frozenset[str]:
        """What is needed, or was a moment ago."""
        now = time.monotonic()
        return self._needed | {name for name, at in self._left.copy().items() if now - at < _GRACE_SECONDS}

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            found = needed(self._store)
        except (SlateError, OSError) as error:
            if str(error) != self._said:
                self._tell(f"which variants are needed is not known: {error}")
                self._said = str(error)
            return
        self._said = ""
        self._left |= dict.fromkeys(self._needed - found, time.monotonic())
        self._needed = found
