"""What becomes of the parts of a request: checked, attributed, written, or put aside with a reason."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from slate.clock import Clock
from slate.config import DatasetConfig, FeedbackConfig
from slate.errors import FullError, StorageError
from slate.feedback.endpoint.appender import Appender
from slate.feedback.endpoint.attribution import attribute
from slate.feedback.endpoint.items import ItemSchema
from slate.feedback.endpoint.keys import ORGANIC, OUTCOMES, Principal
from slate.feedback.endpoint.limits import Limiter
from slate.feedback.endpoint.quarantine import Quarantine
from slate.feedback.endpoint.reading import Part
from slate.feedback.endpoint.record import identity, record_of
from slate.feedback.endpoint.refusal import BadFieldError, RefusedError, Rejected
from slate.feedback.endpoint.schema import EventSchema
from slate.feedback.partitions import events_stream, partition_of
from slate.feedback.queue import Queue
from slate.feedback.signing import Signer
from slate.feedback.state import OnlineState

_HOUR = 3600.0
_LATER_SECONDS = 5


@dataclass(frozen=True)
class Taken:
    """What became of a request's events."""

    accepted: int
    duplicates: int
    rejected: Sequence[Rejected]


@dataclass
class _Sorted:
    records: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    aside: list[tuple[str, Any]] = field(default_factory=list)

    def reject(self, place: int, reason: str, raw: Any) -> None:
        self.rejected.append(Rejected(place, reason))
        self.aside.append((reason, raw))


class Intake:
    """Takes events and items in.

    Args:
        signer: checks exposure ids; None takes organic events only.
    """

    def __init__(
        self,
        dataset: DatasetConfig,
        config: FeedbackConfig,
        queue: Queue,
        state: OnlineState,
        signer: Signer | None,
        clock: Clock,
    ) -> None:
        self._config = config
        self._clock = clock
        self._signer = signer
        self._state = state
        self._events = EventSchema(dataset, config, clock)
        self._items = ItemSchema(dataset)
        self._appenders = [Appender(queue, events_stream(number)) for number in range(config.partitions)]
        self.quarantine = Quarantine(queue, clock)
        self._by_user = Limiter(config.user_events_per_hour, _HOUR, clock)
        self._by_key = Limiter(config.key_events_per_s, 1.0, clock)

    async def events(self, parts: Sequence[Part], principal: Principal) -> Taken:
        """Take events in. When this returns, the accepted ones are durable.

        Raises:
            RefusedError: 403 without a scope for events, 429 for too many at a time or a full queue, 503
                where the queue cannot be written; nothing was taken.
        """
        principal.needs(OUTCOMES, ORGANIC)
        self._rate(principal, len(parts))
        found = self._sort(parts, principal)
        added: list[bool] = []
        if found.records:
            added = await self._append(found)
        if found.aside:
            await asyncio.to_thread(self.quarantine.put, found.aside)
        accepted = sum(added)
        return Taken(accepted, len(added) - accepted, found.rejected)

    async def items(self, parts: Sequence[Part]) -> tuple[int | None, Sequence[Rejected]]:
        """Upsert items; the version after that, None where all were rejected, and those that were.

        Raises:
            RefusedError: 503 where the state cannot be written.
        """
        good: list[tuple[str, bool, Mapping[str, object]]] = []
        rejected: list[Rejected] = []
        for place, part in enumerate(parts):
            try:
                item = self._items.check(_raw(part))
            except BadFieldError as error:
                rejected.append(Rejected(place, str(error)))
            else:
                good.append((item.item_id, item.available, item.features))
        if not good:
            return None, rejected
        try:
            return await asyncio.to_thread(self._state.put_items, good), rejected
        except StorageError as error:
            raise _unavailable() from error

    async def read_items(self, after: int) -> list[dict[str, Any]]:
        """The changes of items after a version.

        Raises:
            RefusedError: 503 where the state cannot be read.
        """
        try:
            return [change._asdict() for change in await asyncio.to_thread(self._state.items, after)]
        except StorageError as error:
            raise _unavailable() from error

    def close(self) -> None:
        """Wait for what is being written."""
        for appender in self._appenders:
            appender.close()

    def _rate(self, principal: Principal, count: int) -> None:
        count = min(count, self._config.key_events_per_s)
        if not self._by_key.take(principal.name, count):
            seconds = int(self._by_key.seconds(principal.name, count)) + 1
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"key: {principal.name!r} sent more than {self._config.key_events_per_s} events in a second; "
                f"send these again after {seconds} s",
                seconds,
            )

    def _sort(self, parts: Sequence[Part], principal: Principal) -> _Sorted:
        found = _Sorted()
        received = self._clock.now()
        for place, part in enumerate(parts):
            try:
                event = self._events.check(_raw(part))
                _allowed(event.user_id, event.exposure_id, principal)
                shown = attribute(event, self._signer, self._config.window_s)
                if not self._by_user.take(event.user_id):
                    most = self._config.user_events_per_hour
                    raise BadFieldError(
                        "user_id", f"has more than {most} events in an hour", "send fewer, or later"
                    )
            except BadFieldError as error:
                found.reject(place, str(error), part.raw)
            else:
                found.records.append(record_of(event, shown, received))
                found.ids.append(identity(event, shown, principal.name))
                found.users.append(event.user_id)
        return found

    async def _append(self, found: _Sorted) -> list[bool]:
        added: Sequence[bool] = [False] * len(found.users)
        try:
            added = await self._shared_out(found)
        except FullError as error:
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "queue: is full; send all of this request again later",
                _LATER_SECONDS,
            ) from error
        except StorageError as error:
            raise _unavailable() from error
        finally:
            # Only what was added counts against a user: sending again after a failure is no offence.
            again = Counter(user for user, new in zip(found.users, added, strict=True) if not new)
            for user, count in again.items():
                self._by_user.give_back(user, count)
        return list(added)

    async def _shared_out(self, found: _Sorted) -> list[bool]:
        """Append each record to its user's partition; with several, one may be full and another not.

        Then what was added counts as a duplicate when it comes again.
        """
        partitions = [partition_of(user, len(self._appenders)) for user in found.users]
        places = [
            [place for place, each in enumerate(partitions) if each == number]
            for number in range(len(self._appenders))
        ]
        added = [False] * len(found.records)
        flags = await asyncio.gather(
            *(
                appender.append([found.records[p] for p in own], [found.ids[p] for p in own])
                for appender, own in zip(self._appenders, places, strict=True)
                if own
            ),
            return_exceptions=True,
        )
        for own, answer in zip([each for each in places if each], flags, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            for place, flag in zip(own, answer, strict=True):
                added[place] = flag
        return added


def _raw(part: Part) -> Any:
    if part.problem is not None:
        raise part.problem
    return part.raw


def _allowed(user_id: str, exposure_id: str | None, principal: Principal) -> None:
    if principal.user_id is not None and principal.user_id != user_id:
        raise BadFieldError("user_id", "is not the user of the token", "send one's own events only")
    if exposure_id is None and ORGANIC not in principal.scopes:
        raise BadFieldError(
            "exposure_id",
            "is missing",
            f"send that of the slate; without one a key needs the scope {ORGANIC}",
        )
    if exposure_id is not None and OUTCOMES not in principal.scopes:
        raise BadFieldError("exposure_id", f"the key has no scope {OUTCOMES}", "use another key")


def _unavailable() -> RefusedError:
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "state: cannot be written now; nothing is certain of this request, send all of it again",
        _LATER_SECONDS,
    )
