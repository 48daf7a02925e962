"""One process' part of a batch run: the users of one partition, from the first or from where it stopped."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from slate.clock import microseconds
from slate.config import BatchConfig, FeedbackConfig
from slate.data.sequences import History
from slate.errors import ConflictError, StorageError
from slate.feedback.open import open_state
from slate.feedback.state import OnlineState
from slate.recommend.precompute.form import packed
from slate.recommend.precompute.live_users import LiveUsers
from slate.recommend.precompute.maker import INACTIVE, Made, Maker
from slate.recommend.precompute.partition import Partition
from slate.recommend.precompute.progress import Figures, Journal, Progress
from slate.recommend.precompute.states import Known, ReleasedUsers
from slate.recommend.recommender import Recommender
from slate.storage import open_store

_SHOWN: Final = 3
#: Users after whom progress is kept, however few of them are active.
_PASSED: Final = 2_048


@dataclass(frozen=True)
class Task:
    """What one process is told; it travels there by pickle.

    ``directory`` is a verified release folder and ``config`` its sections. Released users are active whose
    last interaction is not before ``active_since``, and ``recent`` users whatever the release says.
    """

    directory: Path
    config: Mapping[str, Any]
    release_id: str
    store: str
    partition: Partition
    batch: BatchConfig
    feedback: FeedbackConfig
    now: datetime
    active_since: datetime
    recent: frozenset[str] = frozenset()


def work(task: Task) -> Figures:
    """Compute and keep the slates of one partition.

    Raises:
        StorageError: the state or the store failed; what is kept stays, and the next run goes on after it.
        ConflictError: another process works on the same partition.
    """
    state = open_state(task.feedback)
    try:
        return _Worker(task, state).run()
    finally:
        state.close()


class _Worker:
    def __init__(self, task: Task, state: OnlineState) -> None:
        recommender = Recommender(task.directory, task.config, task.release_id, LiveUsers(state))
        self._task = task
        self._state = state
        new = Progress(task.now, task.batch.items)
        store = open_store(task.store)
        self._journal = Journal(store, task.release_id, task.partition, new, task.batch.resume_h)
        self._maker = Maker(recommender, self._journal.progress.at, task.batch.items)
        self._users = ReleasedUsers(recommender.opened, task.partition)
        self._released = recommender.users
        self._since = microseconds(task.active_since)
        self._mark = time.monotonic()
        self._told = 0

    def run(self) -> Figures:
        try:
            for users, active in self._chunks(self._users.after(self._journal.progress.after)):
                skipped = {INACTIVE: len(users) - len(active)}
                self._keep(self._made(active), skipped, after=users[-1].user_id)
            names = self._newcomers()
            for first in range(0, len(names), self._task.batch.size):
                some = names[first : first + self._task.batch.size]
                self._keep(self._maker.looked_up(some), {}, newcomer=some[-1])
            self._journal.end()
        except ConflictError:
            raise
        except StorageError as error:
            raise self._stopped(error) from error
        return self._journal.progress.figures

    def _chunks(self, everybody: Iterable[Known]) -> Iterator[tuple[list[Known], list[Known]]]:
        """Users in their order, and who of them is active: as many as go through the models at once, or fewer
        where most are not.
        """
        users: list[Known] = []
        active: list[Known] = []
        for user in everybody:
            users.append(user)
            if self._active(user.record.history) or user.user_id in self._task.recent:
                active.append(user)
            if len(active) == self._task.batch.size or len(users) == _PASSED:
                yield users, active
                users, active = [], []
        if users:
            yield users, active

    def _active(self, history: History) -> bool:
        return len(history.times) > 0 and int(history.times[-1]) >= self._since

    def _made(self, users: Sequence[Known]) -> list[Made]:
        """Who did something since the release was made is looked up as a request of theirs would be."""
        changed = self._state.users([user.user_id for user in users]) if users else {}
        made = self._maker.known([user for user in users if user.user_id not in changed])
        return made + self._maker.looked_up([user.user_id for user in users if user.user_id in changed])

    def _newcomers(self) -> list[str]:
        """Recent users of this partition of whom the release knows nothing, sorted, without who is done."""
        done = self._journal.progress.newcomer
        own = (name for name in self._task.recent if self._users.owns(name) and (done is None or name > done))
        return sorted(name for name in own if self._released.record(name) is None)

    def _keep(
        self,
        made: Sequence[Made],
        skipped: Mapping[str, int],
        *,
        after: str | None = None,
        newcomer: str | None = None,
    ) -> None:
        """Write the slates, and only then that they are there."""
        slates = {one.user_id: packed(one.slate) for one in made if one.slate is not None}
        if slates:
            self._state.put_slates(self._task.release_id, slates, 3600 * self._task.batch.expires_h)
        reasons = Counter({reason: count for reason, count in skipped.items() if count})
        for one in made:
            if one.slate is None:
                reasons[one.reason] += 1
                self._tell(one)
        now = time.monotonic()
        done = Figures(
            users=len(made) + sum(skipped.values()),
            slates=len(slates),
            bytes=sum(map(len, slates.values())),
            seconds=now - self._mark,
            skipped=reasons,
        )
        self._mark = now
        progress = self._journal.progress
        self._journal.add(
            replace(
                progress,
                after=after or progress.after,
                newcomer=newcomer or progress.newcomer,
                figures=progress.figures + done,
            )
        )

    def _tell(self, made: Made) -> None:
        if made.detail and self._told < _SHOWN:
            self._told += 1
            print(f"no slate for user {made.user_id!r}: {made.detail}", flush=True)

    def _stopped(self, error: StorageError) -> StorageError:
        """The same error, saying what is kept; how far it came is kept, too, where that can be written."""
        with contextlib.suppress(StorageError):
            self._journal.keep()
        kept = self._journal.progress.figures.slates
        return StorageError(
            f"{error}; {kept:,} slates of partition {self._task.partition} are kept, "
            "and the next run goes on after them"
        )
