"""From counters that only grow to what happened between two readings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, NamedTuple

from slate.clock import isoformat
from slate.rollout.judge.evidence import Requests
from slate.rollout.traffic.envoy.admin import Bucket, Counters, Reading

_QUANTILE: Final = 0.99
#: Envoy counts whole milliseconds, though its buckets may be narrower.
_NARROWEST: Final = 1.0


def between(before: Reading, after: Reading, elapsed_s: float) -> Mapping[str, Requests]:
    """What each variant was asked between two readings, ``elapsed_s`` real seconds apart.

    After a restart of Envoy, what it counted since then; what it counted in between is lost.
    """
    if restarted(before, after, elapsed_s):
        before = Reading(0)
    return {
        name: _requests(before.variants.get(name, Counters()), counters)
        for name, counters in after.variants.items()
    }


def restarted(before: Reading, after: Reading, elapsed_s: float) -> bool:
    """Whether Envoy started anew between two readings."""
    fell = any(
        counters.requests < before.variants.get(name, Counters()).requests
        for name, counters in after.variants.items()
    )
    # Both uptime and the instants of the readings are blurred by a second.
    return fell or after.uptime_s < before.uptime_s or after.uptime_s + 2 < elapsed_s


def quantile(buckets: Sequence[Bucket], share: float) -> float | None:
    """A quantile in milliseconds, linear within a bucket; None of nothing.

    >>> quantile([Bucket(10, 1, 50), Bucket(20, 1, 50)], 0.75)
    20.5
    """
    total = sum(bucket.count for bucket in buckets)
    if total == 0:
        return None
    wanted, seen = share * total, 0
    for bucket in sorted(buckets, key=lambda each: each.low):
        if bucket.count and seen + bucket.count >= wanted:
            width = max(bucket.width, _NARROWEST)
            return bucket.low + width * (wanted - seen) / bucket.count
        seen += bucket.count
    return None


class Mark(NamedTuple):
    """A reading and when it was: in real seconds since 1970, and by the clock."""

    reading: Reading
    at: float
    now: datetime


def to_mark(reading: Reading, at: float, now: datetime) -> dict[str, Any]:
    """A mark as JSON types."""
    return {"at": at, "now": isoformat(now), **asdict(reading)}


def from_mark(mark: Mapping[str, Any]) -> Mark:
    """The inverse of :func:`to_mark`."""
    variants = {
        name: Counters(each["requests"], each["errors"], [Bucket(**bucket) for bucket in each["times"]])
        for name, each in mark["variants"].items()
    }
    return Mark(
        Reading(int(mark["uptime_s"]), variants), float(mark["at"]), datetime.fromisoformat(mark["now"])
    )


def _requests(before: Counters, after: Counters) -> Requests:
    known = {(bucket.low, bucket.width): bucket.count for bucket in before.times}
    times = [
        Bucket(bucket.low, bucket.width, max(bucket.count - known.get((bucket.low, bucket.width), 0), 0))
        for bucket in after.times
    ]
    return Requests(
        after.requests - before.requests, max(after.errors - before.errors, 0), quantile(times, _QUANTILE)
    )
