"""Start a training job and wait for its end."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from slate.errors import ClusterError

#: How many questions in a row may go unanswered; the API of a cluster is away while it is upgraded.
_PATIENCE: Final = 60


class Jobs(Protocol):
    """What :class:`slate.steps.workers.cluster.Cluster` offers."""

    def create(self, job: dict[str, Any]) -> None: ...

    def get(self, name: str) -> dict[str, Any] | None: ...

    def delete(self, name: str) -> None: ...

    def troubles(self, name: str) -> list[str]: ...

    def last_words(self, name: str) -> str: ...


def run_job(
    jobs: Jobs, job: dict[str, Any], every_s: float = 10.0, say: Callable[[str], None] = print
) -> None:
    """Start the job, say what becomes of it, and return when it has succeeded.

    The job never outlives this: it is removed in the end, also when this process is asked to stop. One of the
    same name that a killed process left is removed first.

    Raises:
        ClusterError: it failed, was removed by somebody, or cannot be asked about for ten minutes.
    """
    name = job["metadata"]["name"]
    with _stopped_by_signals():
        _gone(jobs, name, every_s)
        try:
            jobs.create(job)
            _wait(jobs, name, every_s, say)
        finally:
            jobs.delete(name)


def _wait(jobs: Jobs, name: str, every_s: float, say: Callable[[str], None]) -> None:
    told, unanswered = "", 0
    while True:
        try:
            found = jobs.get(name)
            troubles = jobs.troubles(name)
            unanswered = 0
        except ClusterError as error:
            unanswered += 1
            if unanswered >= _PATIENCE:
                raise
            say(f"{error}; asking again")
            time.sleep(every_s)
            continue
        if found is None:
            raise ClusterError(f"TFJob {name}: somebody deleted it; start the step again")
        state = _state(found)
        if (news := "; ".join([state, *troubles])) != told:
            say(f"TFJob {name}: {news}")
            told = news
        if _is(found, "Succeeded"):
            return
        if _is(found, "Failed"):
            raise ClusterError(f"TFJob {name}: {state}\n{jobs.last_words(name)}".rstrip())
        time.sleep(every_s)


def _gone(jobs: Jobs, name: str, every_s: float) -> None:
    for _ in range(_PATIENCE):
        if jobs.get(name) is None:
            return
        jobs.delete(name)
        time.sleep(every_s)
    raise ClusterError(f"TFJob {name}: is still being deleted; look at its finalizers with kubectl")


def _conditions(job: dict[str, Any]) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = job.get("status", {}).get("conditions") or []
    return [each for each in conditions if each.get("status") == "True"]


def _is(job: dict[str, Any], kind: str) -> bool:
    return any(each["type"] == kind for each in _conditions(job))


def _state(job: dict[str, Any]) -> str:
    """In words: the newest condition, and how many workers are at it."""
    conditions = _conditions(job)
    counts = job.get("status", {}).get("replicaStatuses", {}).get("Worker", {})
    workers = ", ".join(f"{count} {what}" for what, count in counts.items() if isinstance(count, int))
    if not conditions:
        return "created"
    newest = conditions[-1]
    message = newest.get("message") or newest.get("reason", "")
    return f"{newest['type'].lower()} ({workers or message})" if newest["type"] != "Failed" else message


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """A request to stop ends this process the way an exception does, so that nothing is left behind."""
    try:
        before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    except ValueError:  # not the main thread, which signals do not reach
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
