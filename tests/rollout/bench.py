"""What tests of rollouts share: releases, a gateway in memory, a log as the consumer writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from slate.clock import ManualClock, microseconds
from slate.config import Event, RolloutConfig
from slate.errors import GatewayError
from slate.feedback import tables
from slate.hashing import bucket
from slate.release.channels import STABLE, move_channel
from slate.release.publish import publish
from slate.rollout.judge.evidence import Block, Requests, Step
from slate.rollout.traffic.driver import Split
from slate.storage import ObjectStore, open_store

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
EVENTS: Mapping[str, Event] = {"like": Event(weight=1.0)}

#: A rollout that some hundred users can decide within minutes. Guardrails pass on few observations.
QUICK: dict[str, Any] = {
    "steps": (5, 50),
    "dwell_s": 60,
    "window_s": 60,
    "guardrail_window_s": 30,
    "settle_s": 0,
    "minimum_users": 20,
    "sharpest_at": 200,
    "minimum_requests": 1,
    "minimum_blocks": 3,
    "coverage_users": 1,
    "cuped": False,
    "look_s": 5,
    "shadow": {"minimum": 20, "slower": 100},
    "guardrails": {
        "errors": {"margin": 0.9},
        "p99": {"margin": 50, "relative": True},
        **{name: {"margin": 5.0} for name in ("empty_slates", "fallback", "repeats", "negative_actions")},
        "coverage": {"margin": 5.0},
    },
}


def config(**changes: Any) -> RolloutConfig:
    """The quick rollout, with some values replaced."""
    return RolloutConfig.model_validate({**QUICK, **changes})


NONE = Requests(0, 0, None)


@dataclass
class MemoryGateway:
    """A driver without a gateway. ``moves`` are all splits that it was told; ``broken`` fails every call."""

    releases: dict[str, frozenset[str]] = field(default_factory=dict)
    told: Split | None = None
    moves: list[Split] = field(default_factory=list)
    kept: list[Block] = field(default_factory=list)
    copied: Requests = NONE
    broken: bool = False

    def apply(self, split: Split) -> None:
        self._check()
        self.told = split
        self.moves.append(split)

    def applied(self) -> Split | None:
        self._check()
        return self.told

    def answering(self, variant: str) -> frozenset[str]:
        self._check()
        return self.releases.get(variant, frozenset())

    def blocks(self, step: Step, now: datetime) -> Sequence[Block]:
        self._check()
        return [block for block in self.kept if step.started <= block.at < now]

    def shadow(self, step: Step, now: datetime) -> Requests:  # noqa: ARG002
        self._check()
        return self.copied

    def printed(self, split: Split) -> str:
        return f"threshold {split.threshold}"

    def _check(self) -> None:
        if self.broken:
            raise GatewayError("the gateway is away; wait for it")


@dataclass
class World:
    """A store whose ``stable`` is the first of two releases, and the clock of all that happens in it."""

    store: ObjectStore
    old: str
    new: str
    clock: ManualClock
    files: int = 0

    def pass_(self, seconds: float) -> datetime:
        """Let time pass; the instant after it."""
        self.clock.advance(timedelta(seconds=seconds))
        return self.clock.now()

    def write(self, folder: str, rows: list[tuple[Any, ...]]) -> None:
        """A file of the log, named as the consumer names it."""
        self.files += 1
        write_log(self.store, folder, rows, self.clock.now(), self.files)


def world(tmp_path: Path, make_release: Any) -> World:
    """Two releases, the older of which is stable."""
    store = open_store(tmp_path / "store")
    releases = []
    for _ in range(2):
        folder, manifest = make_release()
        publish(store, folder)
        releases.append(manifest.release_id)
    move_channel(store, STABLE, releases[0], reason="first", by="test")
    return World(store, releases[0], releases[1], ManualClock(NOW))


def write_log(
    store: ObjectStore, folder: str, rows: list[tuple[Any, ...]], now: datetime, number: int
) -> None:
    """A file of ``exposures``, ``shadow_exposures`` or ``outcomes``."""
    schema = tables.OUTCOMES if folder == "outcomes" else tables.EXPOSURES
    key = f"{folder}/date={now.date().isoformat()}/000-{number:012d}-{number:012d}.parquet"
    store.write_new(key, tables.parquet(schema, rows))


def exposure(
    user: str, at: datetime, split: Split, number: int, items: Sequence[str] = ("a", "b"), **changes: Any
) -> tuple[Any, ...]:
    """A row of a slate that a user of the split was shown, in the order of the columns."""
    place = bucket(split.rollout_id, user)
    variant = "candidate" if place < split.threshold else "stable"
    values: dict[str, Any] = {
        "exposure_id": f"e-{split.step}-{user}-{number}",
        "timestamp": microseconds(at),
        "user_id": user,
        "rollout_id": split.rollout_id,
        "step": split.step,
        "bucket": place,
        "allocation": split.threshold / 10_000,
        "request_id": f"q-{user}-{number}",
        "assigned_variant": variant,
        "served_variant": variant,
        "release_id": "r",
        "rung": "personalised",
        "latency_ms": 20.0 + number % 7,
        "context": "null",
        "items": [
            {
                "item_id": item,
                "score": 1.0 / (place + 1),
                "position": place + 1,
                "source": "x",
                "propensity": 1.0,
            }
            for place, item in enumerate(items)
        ],
    }
    return tuple({**values, **changes}[name] for name in tables.EXPOSURES.names)


def outcome(user: str, at: datetime, split: Split, number: int) -> tuple[Any, ...]:
    """A row of a like that answers :func:`exposure`."""
    place = bucket(split.rollout_id, user)
    values: dict[str, Any] = {
        "event_id": f"l-{split.step}-{user}-{number}",
        "user_id": user,
        "item_id": "a",
        "event": "like",
        "value": None,
        "timestamp": microseconds(at),
        "received": microseconds(at),
        "exposure_id": f"e-{split.step}-{user}-{number}",
        "organic": False,
        "rollout_id": split.rollout_id,
        "step": split.step,
        "assigned_variant": "candidate" if place < split.threshold else "stable",
        "release_id": "r",
        "position": 1,
        "propensity": 1.0,
    }
    return tuple(values[name] for name in tables.OUTCOMES.names)


def block(at: datetime, seconds: float = 5.0, failed: int = 0, asked: int = 100, p99: float = 20.0) -> Block:
    """What the gateway counted: ``failed`` of the candidate's requests."""
    jitter = at.second // 5 % 5
    return Block(at, seconds, Requests(100, 0, 20.0 + jitter), Requests(asked, failed, p99 + 2 * jitter))
