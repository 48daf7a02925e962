"""Pipeline step: slates of active users, computed ahead."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from slate import columns
from slate.clock import Clock, SystemClock
from slate.config import BatchConfig, FeedbackConfig, parse_section
from slate.errors import ConfigError
from slate.feedback.log import read_events
from slate.feedback.open import VARIABLE, describe
from slate.recommend.opened import USERS
from slate.recommend.precompute.partition import Partition
from slate.recommend.precompute.processes import share
from slate.recommend.precompute.progress import Figures
from slate.recommend.precompute.worker import Task
from slate.recommend.users import users_table
from slate.release.channels import CANDIDATE, STABLE, read_channel
from slate.release.manifest import Manifest
from slate.release.resolve import open_verified
from slate.release.rollouts import active_rollouts
from slate.release.verify import check_requires
from slate.storage import ObjectStore, open_store

_WORTH_A_PROCESS: Final = 2_000


@dataclass(frozen=True)
class Activity:
    """Who is active: released users since an instant, and ``recent`` users of the event log."""

    since: datetime
    recent: frozenset[str]


def precompute(
    batch: Mapping[str, Any],
    feedback: Mapping[str, Any],
    store: str,
    partition: str,
    *,
    shared: bool = False,
    clock: Clock | None = None,
) -> list[dict[str, Any]]:
    """Keep the slates of one partition of active users in the online state, for every release that serves.

    Those are the stable one, and during a rollout the candidate.

    Args:
        batch: the section ``batch``, ``feedback`` that of the state.
        partition: ``i/n``, i from 0.
        shared: whether the state must be one that other machines see.

    Returns:
        what was done, one a release; see :class:`slate.recommend.precompute.progress.Figures`.

    Raises:
        ConfigError: the partition is none, no release is live, or the state is a file of this machine only.
        ReleaseError: a release is not as sealed, or needs other versions.
        StorageError: the state or the store failed. What is kept stays, and the next run goes on after it.
    """
    config = parse_section(BatchConfig, batch)
    state = parse_section(FeedbackConfig, feedback)
    part = Partition.parse(partition)
    if shared and not os.environ.get(VARIABLE):
        raise ConfigError(
            f"batch: {VARIABLE} is not set, and slates in the file {state.state} of a cluster's pod would be "
            f"lost with it; name the Redis that the servers read"
        )
    objects = open_store(store)
    now = (clock or SystemClock()).now()
    done = []
    for release_id in _serving(objects):
        began = time.monotonic()
        opened = open_verified(release_id, objects)
        check_requires(opened.manifest)
        activity = _activity(objects, opened.manifest, now, config.active_days)
        task = Task(
            directory=opened.path,
            config=opened.manifest.config,
            release_id=release_id,
            store=store,
            partition=part,
            batch=config,
            feedback=state,
            now=now,
            active_since=activity.since,
            recent=activity.recent,
        )
        print(f"slates of release {release_id}, partition {part}, into {describe(state)}", flush=True)
        figures = share(task, _workers(config, opened.path / USERS, part))
        done.append(_described(release_id, part, figures, time.monotonic() - began))
        print(_told(done[-1]), flush=True)
    return done


def _serving(store: ObjectStore) -> list[str]:
    stable = read_channel(store, STABLE)
    if stable is None:
        raise ConfigError(f"batch: {store.uri} has no live release; train one with 'slate run' first")
    candidate = read_channel(store, CANDIDATE) if active_rollouts(store) else None
    return list(dict.fromkeys([stable.release_id, *([candidate.release_id] if candidate else [])]))


def _activity(store: ObjectStore, manifest: Manifest, now: datetime, days: float) -> Activity:
    """Released users are judged against the end of the release's data, beyond which it knows nothing."""
    watermark = datetime.fromisoformat(manifest.dataset.watermark)
    counted = timedelta(days=days)
    events = read_events(store, now - counted)
    return Activity(
        since=min(watermark, now) - counted,
        recent=frozenset(pc.unique(events[columns.USER]).to_pylist()),
    )


def _workers(config: BatchConfig, users: Path, partition: Partition) -> int:
    """As many as configured, else as many as are worth starting. It depends on the release and the machine
    alone, so that a run that goes on meets the partitions of the one that stopped.
    """
    if config.workers is not None:
        return config.workers
    own = len(partition.rows(users_table(users).num_rows))
    return max(1, min(len(os.sched_getaffinity(0)), own // _WORTH_A_PROCESS))


def _described(release_id: str, partition: Partition, figures: Figures, seconds: float) -> dict[str, Any]:
    return {
        "release_id": release_id,
        "partition": str(partition),
        **asdict(figures),
        "skipped": dict(figures.skipped),
        "process_seconds": round(figures.seconds, 3),
        "seconds": round(seconds, 3),
    }


def _told(done: Mapping[str, Any]) -> str:
    new = done["users"] - done["resumed"]
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in done["skipped"].items())
    resumed = f" ({done['resumed']:,} of them by an earlier run)" if done["resumed"] else ""
    return (
        f"{done['users']:,} users{resumed}, {done['slates']:,} slates, {done['bytes'] / 2**20:,.1f} MiB, "
        f"{done['seconds']:.1f} s, {new / max(done['seconds'], 1e-9):,.0f} users/s"
        + (f"; without a slate: {skipped}" if skipped else "")
    )
