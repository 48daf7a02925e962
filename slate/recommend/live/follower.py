"""Follow the items of the online state: what is taken down, and who wants to know of the others."""

import logging
import threading
import weakref
from collections.abc import Callable, Sequence

from slate.feedback.state import ItemChange
from slate.recommend.live.base import TakesItems
from slate.recommend.live.reader import OpenedWhenAsked

_log = logging.getLogger(__name__)


class ItemFollower:
    """Looks at the items every so often, in a thread of its own.

    Where the state fails, what it said last holds. Of an item that is taken down the id is kept, for as long
    as it is down: forgetting it would show it.

    Args:
        seconds: between two looks.
        looked: called after each look with None, or with what went wrong.
    """

    def __init__(
        self,
        state: OpenedWhenAsked,
        seconds: float,
        looked: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._seconds = seconds
        self._looked = looked
        self._version = 0
        self._takers: list[weakref.ref[TakesItems]] = []
        self._lock = threading.Lock()
        self._first = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-items", daemon=True)
        self._said = ""
        self.unavailable: frozenset[str] = frozenset()

    def start(self, patience: float) -> None:
        """Begin, and wait so long for the first look, so that nothing is shown that was taken down before."""
        self._thread.start()
        self._first.wait(patience)

    def stop(self) -> None:
        """Look no more. A look that hangs ends with the process."""
        self._stop.set()

    def tell(self, taker: TakesItems) -> None:
        """Tell ``taker`` of all since its version at the next look, and of each change from then on."""
        with self._lock:
            self._takers.append(weakref.ref(taker))

    def look(self) -> None:
        """Look once.

        Raises:
            SlateError: the state cannot be read; nothing is changed then.
            Exception: a taker failed; the others know all, and it is told again at the next look.
        """
        state = self._state.get()
        # The latest change is read again: where it is gone, the state is another one and starts anew.
        changes = state.items(max(0, self._version - 1))
        if self._version and not any(change.version == self._version for change in changes):
            _log.warning("the items of the online state begin anew: all of them are read again")
            changes = state.items(0)
            self._restart()
        before = self._version
        self._learn([change for change in changes if change.version > before])
        trouble: Exception | None = None
        for taker in self._living():
            if taker.version == self._version:
                continue
            try:
                missed = changes if taker.version == before else state.items(taker.version)
                taker.take([change for change in missed if change.version > taker.version])
            except Exception as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def _restart(self) -> None:
        self._version = 0
        for taker in self._living():
            taker.version = 0

    def _learn(self, changes: Sequence[ItemChange]) -> None:
        if not changes:
            return
        down = set(self.unavailable)
        for change in changes:
            if change.available:
                down.discard(change.item_id)
            else:
                down.add(change.item_id)
        if down != self.unavailable:
            self.unavailable = frozenset(down)
        self._version = changes[-1].version

    def _living(self) -> list[TakesItems]:
        with self._lock:
            pairs = [(each, each()) for each in self._takers]
            self._takers = [each for each, taker in pairs if taker is not None]
        return [taker for _, taker in pairs if taker is not None]

    @property
    def takers(self) -> list[TakesItems]:
        """Who is told, as far as they live."""
        return self._living()

    def _run(self) -> None:
        while not self._stop.is_set():
            trouble: Exception | None = None
            try:
                self.look()
            except Exception as error:
                trouble = error
            self._tell(trouble)
            self._first.set()
            self._stop.wait(self._seconds)

    def _tell(self, trouble: Exception | None) -> None:
        self._looked(trouble)
        said = "" if trouble is None else f"{type(trouble).__name__}: {trouble}"
        if said and said != self._said:
            _log.warning("items are as they were seen last: %s", said)
        self._said = said
