"""What a gateway counted in a step, block by block: ``rollouts/<id>/blocks/<step>/<hour>.json``.

Written by whoever holds the lease, so that a controller that takes over, or a gateway that starts again,
loses no block and counts none twice. An object holds the blocks that began in one hour (UTC)::

    {"schema": 1, "rollout_id", "step",
     "blocks": [{"at", "seconds", "stable": {"requests", "errors", "p99_ms"}, "candidate": {..},
                 "shadow": {..}}],
     "mark": {..}}

``mark`` is the driver's own: where its counters stood when the last block ended. It lies beside the blocks so
that both change at once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from slate.clock import isoformat
from slate.errors import RolloutError
from slate.release.layout import ROLLOUTS
from slate.rollout.judge.evidence import Block, Requests, Step
from slate.storage import ObjectStore

SCHEMA: Final = 1
NONE: Final = Requests(0, 0, None)


@dataclass(frozen=True)
class Counted:
    """One block, and what was copied to the shadow in it."""

    block: Block
    shadow: Requests = NONE


@dataclass
class BlockLog:
    """The blocks of one step, kept in memory as well: reading them costs nothing after the first time."""

    store: ObjectStore
    rollout_id: str
    step: str
    _read: bool = False
    _counted: list[Counted] = field(default_factory=list)
    _hour: str = ""
    _in_hour: int = 0
    _generation: int | None = None
    _mark: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, store: ObjectStore, step: Step) -> "BlockLog":
        """Those of a step."""
        return cls(store, step.rollout_id, step.name)

    def blocks(self) -> Sequence[Block]:
        """By time.

        Raises:
            RolloutError: an object is none of this.
            StorageError: the store cannot be read.
        """
        return [counted.block for counted in self.counted()]

    def shadow(self) -> Requests:
        """What was copied to the shadow in all blocks; the p99 is the largest of any block.

        Raises:
            RolloutError, StorageError: see :meth:`blocks`.
        """
        each = [counted.shadow for counted in self.counted()]
        slowest = max((found.p99_ms for found in each if found.p99_ms is not None), default=None)
        return Requests(sum(found.requests for found in each), sum(found.errors for found in each), slowest)

    def counted(self) -> Sequence[Counted]:
        """Blocks with what was copied, by time.

        Raises:
            RolloutError, StorageError: see :meth:`blocks`.
        """
        self._load()
        return self._counted

    def mark(self) -> Mapping[str, Any]:
        """Where the driver's counters stood when the last block ended; empty before the first.

        Raises:
            RolloutError, StorageError: see :meth:`blocks`.
        """
        self._load()
        return self._mark

    def begin(self, at: datetime, mark: Mapping[str, Any]) -> None:
        """Keep where the counters stand before the first block, which begins now.

        Raises:
            ConflictError, StorageError: see :meth:`add`.
        """
        self._load()
        self._write(f"{at:%Y-%m-%dT%H}", None, mark)

    def add(self, counted: Counted, mark: Mapping[str, Any]) -> None:
        """Keep one more block, later than all others.

        Raises:
            ConflictError: somebody else keeps this step's blocks: the lease is lost. What is in memory is
                forgotten.
            RolloutError: it begins before the last one.
            StorageError: the store cannot be written; nothing was kept.
        """
        self._load()
        last = self._counted[-1].block if self._counted else None
        if last is not None and counted.block.at < last.at:
            raise RolloutError(
                f"rollout {self.rollout_id}: a block of {isoformat(counted.block.at)} comes after one of "
                f"{isoformat(last.at)}; set the clocks right"
            )
        self._write(f"{counted.block.at:%Y-%m-%dT%H}", counted, mark)

    def _write(self, hour: str, counted: Counted | None, mark: Mapping[str, Any]) -> None:
        same = hour == self._hour
        kept = self._counted[len(self._counted) - self._in_hour :] if same else []
        more = [] if counted is None else [counted]
        body = {
            "schema": SCHEMA,
            "rollout_id": self.rollout_id,
            "step": self.step,
            "blocks": [_record(each) for each in (*kept, *more)],
            "mark": dict(mark),
        }
        data = json.dumps(body, separators=(",", ":")).encode()
        try:
            generation = self.store.compare_and_swap(
                self._key(hour), data, self._generation if same else None
            )
        except Exception:
            self._read = False
            raise
        self._counted += more
        self._hour, self._in_hour = hour, len(kept) + len(more)
        self._generation, self._mark = generation, dict(mark)

    def _load(self) -> None:
        if self._read:
            return
        self._counted, self._hour, self._in_hour, self._generation, self._mark = [], "", 0, None, {}
        keys = self.store.list(f"{ROLLOUTS}{self.rollout_id}/blocks/{self.step}/")
        for key in keys:
            data, generation = self.store.read_versioned(key)
            try:
                body = json.loads(data)
                inside = [_counted(each) for each in body["blocks"]]
                self._mark = dict(body["mark"])
            except (ValueError, KeyError, TypeError) as error:
                raise RolloutError(
                    f"{self.store.describe(key)}: holds no blocks of a gateway ({error}); remove the object"
                ) from error
            self._counted += inside
            self._in_hour = len(inside)
            self._hour, self._generation = key.rpartition("/")[2].removesuffix(".json"), generation
        self._read = True

    def _key(self, hour: str) -> str:
        return f"{ROLLOUTS}{self.rollout_id}/blocks/{self.step}/{hour}.json"


def read_blocks(store: ObjectStore, rollout_id: str, step: str) -> Sequence[Counted]:
    """The blocks of a step as kept, by time.

    Raises:
        RolloutError: an object is none of this.
        StorageError: the store cannot be read.
    """
    return BlockLog(store, rollout_id, step).counted()


def _record(counted: Counted) -> dict[str, Any]:
    block = counted.block
    return {
        "at": isoformat(block.at),
        "seconds": block.seconds,
        "stable": asdict(block.stable),
        "candidate": asdict(block.candidate),
        "shadow": asdict(counted.shadow),
    }


def _counted(record: Mapping[str, Any]) -> Counted:
    block = Block(
        at=datetime.fromisoformat(record["at"]),
        seconds=float(record["seconds"]),
        stable=Requests(**record["stable"]),
        candidate=Requests(**record["candidate"]),
    )
    return Counted(block, Requests(**record["shadow"]))
