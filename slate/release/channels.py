"""Channels: named pointers to releases, moved by compare-and-swap, with all of their history."""

import json
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slate.clock import Clock, SystemClock, isoformat
from slate.config import describe
from slate.errors import ConflictError, NotFoundError, ReleaseError
from slate.release.layout import channel_key
from slate.release.manifest import Instant, canonical_json
from slate.release.verify import read_manifest
from slate.storage import ObjectStore

STABLE: Final = "stable"
CANDIDATE: Final = "candidate"
SHADOW: Final = "shadow"
CHANNELS: Final = (STABLE, CANDIDATE, SHADOW)


class Move(BaseModel):
    """One move of a channel. ``sequence`` counts from 1; ``rollback`` marks a move to an older release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release_id: str
    sequence: int = Field(ge=1)
    reason: str
    by: str
    at: Instant
    rollback: bool = False


class Channel(BaseModel):
    """Where a channel points, and all its moves, the last of which is the present one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release_id: str
    sequence: int = Field(ge=1)
    reason: str
    by: str
    at: Instant
    history: tuple[Move, ...]

    @classmethod
    def after(cls, moves: tuple[Move, ...]) -> "Channel":
        """The channel that these moves make."""
        last = moves[-1].model_dump(exclude={"rollback"})
        return cls(**last, history=moves)

    def to_bytes(self) -> bytes:
        """Its JSON in the store."""
        return canonical_json(self.model_dump(mode="json"))

    def was_at(self, release_id: str) -> bool:
        """Whether the channel ever pointed there."""
        return any(move.release_id == release_id for move in self.history)


class Follow(NamedTuple):
    """Whether a server may follow a channel it has just read, and if not, why."""

    allowed: bool
    why: str


def read_channel(store: ObjectStore, name: str) -> Channel | None:
    """The channel, or None while it is empty.

    Raises:
        ReleaseError: no such channel name, or its object contradicts itself.
    """
    return _read(store, name)[0]


def move_channel(
    store: ObjectStore,
    name: str,
    release_id: str,
    reason: str,
    by: str,
    expected_sequence: int | None = None,
    clock: Clock | None = None,
) -> Channel:
    """Point a channel at a release. A move to where it points already changes nothing.

    Args:
        reason: why, for the history.
        by: who.
        expected_sequence: the sequence the caller has seen (0: empty); None: whatever it is now.

    Returns:
        the channel as it is after the move.

    Raises:
        ConflictError: somebody else moved it; look again, then decide again.
        NotFoundError: the store has no such sealed release.
        ReleaseError: its verdict is not ``passed``; or it is older than the present one and the channel
            never pointed there.
    """
    channel, generation = _read(store, name)
    sequence = channel.sequence if channel else 0
    if expected_sequence is not None and expected_sequence != sequence:
        raise ConflictError(
            f"channel {name}: expected sequence {expected_sequence}, but it is at {sequence}; "
            "somebody else moved it: look again and decide again"
        )
    verdict = read_manifest(store, release_id).verdict.status
    if verdict != "passed":
        raise ReleaseError(
            f"channel {name}: release {release_id} has verdict {verdict!r}; "
            "only a passed release may stand there"
        )
    if channel and channel.release_id == release_id:
        return channel
    backward = channel is not None and release_id < channel.release_id
    if channel is not None and backward and not channel.was_at(release_id):
        raise ReleaseError(
            f"channel {name}: release {release_id} is older than {channel.release_id} and never stood there; "
            "roll back to a release of its history, or train again"
        )
    move = Move(
        release_id=release_id,
        sequence=sequence + 1,
        reason=reason,
        by=by,
        at=isoformat((clock or SystemClock()).now()),
        rollback=backward,
    )
    moved = Channel.after((*(channel.history if channel else ()), move))
    store.compare_and_swap(channel_key(name), moved.to_bytes(), generation)
    return moved


def rollback(
    store: ObjectStore,
    name: str,
    to: str | None = None,
    reason: str = "rollback",
    by: str = "operator",
    expected_sequence: int | None = None,
    clock: Clock | None = None,
) -> Channel:
    """Point a channel back at a release of its own history.

    Args:
        to: the release; by default the latest of the history that is older than the present one.

    Raises:
        ConflictError, NotFoundError, ReleaseError: as :func:`move_channel`; or the channel is empty,
            has nothing older, or ``to`` is not older.
    """
    channel = read_channel(store, name)
    if channel is None:
        raise ReleaseError(f"channel {name}: is empty; promote a release first")
    older = [m.release_id for m in channel.history if m.release_id < channel.release_id]
    if not older:
        raise ReleaseError(f"channel {name}: its history holds nothing older than {channel.release_id}")
    target = older[-1] if to is None else to
    if target not in older:
        raise ReleaseError(
            f"channel {name}: cannot roll back to {target}; it may go back to {', '.join(sorted(set(older)))}"
        )
    expected = channel.sequence if expected_sequence is None else expected_sequence
    return move_channel(store, name, target, reason, by, expected_sequence=expected, clock=clock)


def take_if_empty(
    store: ObjectStore,
    name: str,
    release_id: str,
    reason: str = "first release that passed",
    by: str = "publisher",
    clock: Clock | None = None,
) -> Channel | None:
    """Give an empty channel its first release, if that passed; None where nothing moved."""
    if read_channel(store, name) is not None:
        return None
    if read_manifest(store, release_id).verdict.status != "passed":
        return None
    try:
        return move_channel(store, name, release_id, reason, by, expected_sequence=0, clock=clock)
    except ConflictError:
        return None


def may_follow(seen: Channel | None, new: Channel) -> Follow:
    """What a server asks before it follows a channel: an old or forged file must not move it back.

    Args:
        seen: the channel as the server last followed it; None on its first start.
    """
    problem = _contradiction(new)
    if problem:
        return Follow(False, problem)
    if seen is None:
        return Follow(True, "first sight")
    if new.sequence < seen.sequence:
        return Follow(
            False, f"sequence {new.sequence} is older than {seen.sequence}, which was followed already"
        )
    if new.history[: seen.sequence] != seen.history:
        return Follow(False, f"its history does not continue the one followed up to sequence {seen.sequence}")
    return Follow(True, "unchanged" if new.sequence == seen.sequence else "moved on")


def _read(store: ObjectStore, name: str) -> tuple[Channel | None, int | None]:
    if name not in CHANNELS:
        raise ReleaseError(f"channel {name!r}: unknown; the channels are {', '.join(CHANNELS)}")
    key = channel_key(name)
    try:
        data, generation = store.read_versioned(key)
    except NotFoundError:
        return None, None
    return _parse(data, store.describe(key)), generation


def _parse(data: bytes, where: str) -> Channel:
    repair = "restore an earlier version of the object"
    try:
        raw: Any = json.loads(data)
        channel = Channel.model_validate(raw)
    except ValidationError as error:
        raise ReleaseError(f"{where}: {describe(error)}; {repair}") from error
    except ValueError as error:
        raise ReleaseError(f"{where}: is not valid JSON ({error}); {repair}") from error
    problem = _contradiction(channel)
    if problem:
        raise ReleaseError(f"{where}: {problem}; {repair}")
    return channel


def _contradiction(channel: Channel) -> str | None:
    """Why a channel cannot be the work of :func:`move_channel`; None where it can."""
    if [m.sequence for m in channel.history] != list(range(1, channel.sequence + 1)):
        return f"its history does not count from 1 to {channel.sequence}"
    if Channel.after(channel.history) != channel:
        return "its last move is not where it points"
    before: set[str] = set()
    for previous, move in zip(channel.history, channel.history[1:], strict=False):
        before.add(previous.release_id)
        backward = move.release_id < previous.release_id
        if backward != move.rollback:
            return (
                f"move {move.sequence} goes {'back' if backward else 'forward'} and is recorded as the other"
            )
        if backward and move.release_id not in before:
            return f"move {move.sequence} rolls back to {move.release_id}, which never stood there"
    return "its first move is recorded as a rollback" if channel.history[0].rollback else None
