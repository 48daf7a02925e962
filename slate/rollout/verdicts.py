"""The verdicts of a rollout as they are kept: ``rollouts/<id>/verdicts/<n>.json``, from 1, without gaps."""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import ValidationError

from slate.errors import NotFoundError, RolloutError
from slate.release.layout import ROLLOUTS
from slate.rollout.judge.verdict import Verdict
from slate.storage import ObjectStore


class Recorded(NamedTuple):
    """A verdict and its number."""

    number: int
    verdict: Verdict


def verdict_key(rollout_id: str, number: int) -> str:
    """Where a verdict lies.

    >>> verdict_key("r-1", 12)
    'rollouts/r-1/verdicts/000012.json'
    """
    return f"{ROLLOUTS}{rollout_id}/verdicts/{number:06d}.json"


def record(store: ObjectStore, verdict: Verdict, number: int) -> Recorded:
    """Write a verdict under its number.

    Raises:
        ConflictError: somebody else wrote one of that number; read it.
        StorageError: the store cannot be written.
    """
    store.write_new(verdict_key(verdict.rollout_id, number), verdict.to_json().encode())
    return Recorded(number, verdict)


def read_verdict(store: ObjectStore, rollout_id: str, number: int) -> Verdict:
    """One verdict.

    Raises:
        NotFoundError: there is none of this number.
        RolloutError: the object is none.
        StorageError: the store cannot be read.
    """
    key = verdict_key(rollout_id, number)
    try:
        return Verdict.from_json(store.read(key))
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = str(error).partition("\n")[0]
        raise RolloutError(
            f"{store.describe(key)}: is no verdict ({problem}); restore an earlier version of it"
        ) from error


def last_verdict(store: ObjectStore, rollout_id: str, after: int = 0) -> Recorded | None:
    """The last verdict with a number above ``after``; None where there is none.

    Numbers have no gaps, so it is found by asking for a few, not by listing thousands.

    Args:
        after: the number of a verdict that is there, or 0.

    Raises:
        RolloutError, StorageError: see :func:`read_verdict`.
    """

    def there(number: int) -> bool:
        return store.exists(verdict_key(rollout_id, number))

    low, stride = after, 1
    while there(low + stride):
        low, stride = low + stride, stride * 2
    high = low + stride
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if there(middle) else (low, middle)
    return Recorded(low, read_verdict(store, rollout_id, low)) if low > after else None


def verdicts_back(store: ObjectStore, rollout_id: str, last: int) -> Iterator[Recorded]:
    """The verdicts from a number down to the first.

    Raises:
        RolloutError, StorageError: see :func:`read_verdict`.
    """
    for number in range(last, 0, -1):
        yield Recorded(number, read_verdict(store, rollout_id, number))


def read_verdicts(store: ObjectStore, rollout_id: str) -> list[Recorded]:
    """All verdicts, by number.

    Raises:
        RolloutError, StorageError: see :func:`read_verdict`.
    """
    found, number = [], 1
    while True:
        try:
            found.append(Recorded(number, read_verdict(store, rollout_id, number)))
        except NotFoundError:
            return found
        number += 1
