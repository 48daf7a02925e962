"""Follow a channel: a new release is loaded beside the old one and takes over between two requests."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from slate.errors import ReleaseError, SlateError
from slate.recommend.online.online import Loaded
from slate.release.channels import Channel, may_follow, read_channel
from slate.release.manifest import Manifest
from slate.release.publish import local_copy
from slate.release.verify import read_manifest
from slate.storage import ObjectStore

_log = logging.getLogger(__name__)

#: The release that answers and the one before it, for a rollback without loading.
_WARM: Final = 2

Load = Callable[[Path, Manifest], Loaded]


class ChannelFollower:
    """Keeps up with a channel in a thread of its own, whatever the store does.

    A release that cannot be fetched is tried again at every look; one that was refused is not looked at
    again until the channel moves on. Neither ever takes the release that answers away.

    Args:
        load: opens a verified folder.
        take: called with each release that shall answer from now on, from the thread.
        beside: entered while a release is fetched, checked and opened beside another. Before the first one
            there is nobody to give way to.
        seconds: between two looks.
        failed: told of every failure, in one line.
    """

    def __init__(
        self,
        store: ObjectStore,
        channel: str,
        load: Load,
        take: Callable[[Loaded], None],
        *,
        beside: Callable[[], AbstractContextManager[None]] = nullcontext,
        cache_dir: Path | None = None,
        seconds: float = 1.0,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._name = channel
        self._load = load
        self._take = take
        self._cache_dir = cache_dir
        self._seconds = seconds
        self._failed = failed
        self._beside = beside
        self._followed: Channel | None = None
        self._refused: set[str] = set()
        self._warm: OrderedDict[str, Loaded] = OrderedDict()
        self._current: str | None = None
        self._said = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{channel}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. A look that hangs in the store ends with the process."""
        self._stop.set()

    def look(self) -> None:
        """Look once, and take over what is new.

        Raises:
            SlateError: the channel or its release cannot be read or used; what answers, answers on.
        """
        channel = read_channel(self._store, self._name)
        if channel is None:
            raise ReleaseError(f"channel {self._name}: is empty; promote a release")
        follow = may_follow(self._followed, channel)
        if not follow.allowed:
            raise ReleaseError(f"channel {self._name}: not followed, {follow.why}")
        if self._followed is None or channel.sequence > self._followed.sequence:
            self._refused.clear()
            self._followed = channel
        release_id = channel.release_id
        if release_id == self._current or release_id in self._refused:
            return
        loaded = self._warm.get(release_id) or self._open(release_id)
        self._take(loaded)
        self._current = release_id
        self._warm[release_id] = loaded
        self._warm.move_to_end(release_id)
        while len(self._warm) > _WARM:
            self._warm.popitem(last=False)
        _log.info("channel %s: release %s answers now", self._name, release_id)

    def _open(self, release_id: str) -> Loaded:
        with nullcontext() if self._current is None else self._beside():
            folder = local_copy(self._store, release_id, self._cache_dir, whole=False)
            try:
                return self._load(folder, read_manifest(self._store, release_id))
            except ReleaseError:
                self._refused.add(release_id)
                raise

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
                self._said = ""
            except Exception as error:
                self._tell(f"{error if isinstance(error, SlateError) else repr(error)}")
            self._stop.wait(self._seconds)

    def _tell(self, problem: str) -> None:
        self._failed(problem)
        if problem != self._said:
            _log.warning("channel %s: %s", self._name, problem)
            self._said = problem
