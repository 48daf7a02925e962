"""What operators see at ``/metrics``, beside what KServe counts itself."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from slate.feedback.exposure import ExposureLog
from slate.recommend.live.watch import OPERATIONS, REASONS
from slate.recommend.online.admission import DRAINING, FULL, SLOW
from slate.recommend.online.ladder import RUNGS
from slate.recommend.online.online import OnlineEngine
from slate.recommend.request import Slate
from slate.recommend.stages.records import Kept

_STEPS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_REASONS: Final = (FULL, SLOW, DRAINING)
_HIT: Final = "hit"
_MISS: Final = "miss"
_AGES: Final = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0, 48 * 3600.0, 7 * 86_400.0)


def buckets(deadline: float) -> tuple[float, ...]:
    """Bounds of histograms in seconds: from 1 ms to the deadline, which is one of them.

    >>> buckets(0.2), buckets(0.03)[-2:]
    ((0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2), (0.02, 0.03))
    """
    return (*(step for step in _STEPS if step < deadline), deadline)


class Metrics:
    """Counters of one server.

    Args:
        channel: the channel that is followed, empty for a pinned release.
        deadline: of a request, in seconds.
    """

    def __init__(
        self, variant: str, channel: str, deadline: float, registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._registry = registry
        self._variant = variant
        self._channel = channel
        self._release: str | None = None
        self._requests = Counter(
            "slate_requests", "Requests answered.", ("model", "variant", "code"), registry=registry
        )
        self._stages = Histogram(
            "slate_stage_seconds", "Time in a stage, its queue included.", ("stage",),
            buckets=buckets(deadline), registry=registry,
        )  # fmt: skip
        self._troubles = Counter(
            "slate_stage_troubles", "Stages that gave nothing.", ("stage", "reason"), registry=registry
        )
        self._filtered = Counter(
            "slate_filtered_items", "Candidates that a filter removed.", ("filter",), registry=registry
        )
        self._sources = Counter(
            "slate_source_failures", "Sources that gave nothing.", ("source", "reason"), registry=registry
        )
        self._falls = Counter(
            "slate_falls",
            "Slates that are not personalised, and why.",
            ("stage", "reason"),
            registry=registry,
        )
        self._slates = Counter("slate_slates", "Slates by rung.", ("rung",), registry=registry)
        for rung in RUNGS:
            self._slates.labels(rung)
        # Finding the child of a metric takes longer than counting with it.
        self._of_request = cache(self._requests.labels)
        self._of_stage = cache(self._stages.labels)
        self._of_filter = cache(self._filtered.labels)
        self._of_rung = cache(self._slates.labels)
        self._empty = Counter("slate_empty_slates", "Slates without an item.", registry=registry)
        self._state = Counter(
            "slate_state_failures",
            "Questions to the online state without an answer in time; the release answered alone.",
            ("operation", "reason"),
            registry=registry,
        )
        for operation in OPERATIONS:
            for reason in REASONS:
                self._state.labels(operation, reason)
        self._ahead = Counter(
            "slate_precomputed", "Slates made ahead that were looked for.", ("result",), registry=registry
        )
        for result in (_HIT, _MISS):
            self._ahead.labels(result)
        self._age = Histogram(
            "slate_precomputed_age_seconds", "Age of slates made ahead, as they were found.",
            buckets=_AGES, registry=registry,
        )  # fmt: skip
        self._unknown = Counter(
            "slate_state_events_ignored",
            "Events of users' histories that name what the release does not know.",
            registry=registry,
        )
        self._items = Gauge(
            "slate_live_items",
            "Items taken down, shown beside the release's, and without a place or a model.",
            ("kind",),
            registry=registry,
        )
        self._info = Gauge(
            "slate_release_info",
            "1 for the release that answers.",
            ("channel", "release_id"),
            registry=registry,
        )

    def answered(self, model: str, code: int) -> None:
        """A request was answered with this status."""
        self._of_request(model, self._variant, code).inc()

    def stage(self, stage: str, seconds: float, trouble: str | None) -> None:
        """A stage ended, ``trouble`` says why it gave nothing."""
        self._of_stage(stage).observe(seconds)
        if trouble is not None:
            self._troubles.labels(stage, trouble).inc()

    def source_failed(self, source: str, reason: str) -> None:
        """A source gave nothing; called from any thread."""
        self._sources.labels(source, reason).inc()

    def state_failed(self, operation: str, reason: str) -> None:
        """The online state gave nothing; called from any thread."""
        self._state.labels(operation, reason).inc()

    def looked_ahead(self, age: float | None) -> None:
        """A slate made ahead was looked for; its age in seconds where there is one."""
        self._ahead.labels(_MISS if age is None else _HIT).inc()
        if age is not None:
            self._age.observe(age)

    def events_ignored(self, count: int) -> None:
        """Events of a history name what the release does not know."""
        self._unknown.inc(count)

    def items_known(self, taken_down: int, new: int, refused: int) -> None:
        """So many items are taken down, shown beside the release's, and without a place or a model."""
        for kind, count in (("taken_down", taken_down), ("new", new), ("refused", refused)):
            self._items.labels(kind).set(count)

    def fallen(self, stage: str, reason: str) -> None:
        """A slate comes from a lower rung."""
        self._falls.labels(stage, reason).inc()

    def filtered(self, kept: Sequence[Kept]) -> None:
        """Candidates were filtered."""
        for each in kept:
            for name, count in each.removed_counts.items():
                self._of_filter(name).inc(count)

    def slate(self, slate: Slate) -> None:
        """A slate went out."""
        self._of_rung(slate.rung).inc()
        if not slate.items:
            self._empty.inc()

    def taken(self, release_id: str) -> None:
        """This release answers from now on."""
        if self._release is not None:
            self._info.remove(self._channel, self._release)
        self._info.labels(self._channel, release_id).set(1)
        self._release = release_id

    def watch(self, engine: OnlineEngine, exposures: ExposureLog) -> None:
        """Also report what these count themselves."""
        self._registry.register(_Counted(self._variant, engine, exposures))


class _Counted(Collector):
    """Counts that others keep, read when they are asked for."""

    def __init__(self, variant: str, engine: OnlineEngine, exposures: ExposureLog) -> None:
        self._variant = variant
        self._engine = engine
        self._exposures = exposures

    def collect(self) -> list[Metric]:
        shed = CounterMetricFamily("slate_shed", "Requests refused before any work.", labels=("reason",))
        for reason in _REASONS:
            shed.add_metric((reason,), self._engine.admission.refused[reason])
        dropped = CounterMetricFamily("slate_exposures_dropped", "Exposure records that were not kept.")
        dropped.add_metric((), self._exposures.dropped)
        held = GaugeMetricFamily("slate_requests_held", "Requests being answered.", labels=("variant",))
        held.add_metric((self._variant,), self._engine.admission.held)
        return [shed, dropped, held]
