"""What operators see at ``/metrics`` of the events endpoint."""

from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from slate.errors import SlateError
from slate.feedback.endpoint.intake import Taken
from slate.feedback.queue import Queue

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one endpoint.

    Args:
        streams: whose depth is shown.
        dropped: how many of the malformed were not kept.
    """

    def __init__(self, queue: Queue, streams: Sequence[str], dropped: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter("slate_events", "Events by result.", ("result",), registry=self._registry)
        self._items = Counter("slate_item_changes", "Items by result.", ("result",), registry=self._registry)
        self._requests = Counter(
            "slate_events_requests", "Requests answered.", ("code",), registry=self._registry
        )
        self._seconds = Histogram(
            "slate_events_seconds", "Time of a request for events, the durable write included.",
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        for result in ("accepted", "duplicate", "rejected", "refused"):
            self._events.labels(result)
        self._registry.register(_Depths(queue, streams, dropped))

    def taken(self, taken: Taken) -> None:
        """A request for events was answered."""
        self._events.labels("accepted").inc(taken.accepted)
        self._events.labels("duplicate").inc(taken.duplicates)
        self._events.labels("rejected").inc(len(taken.rejected))

    def refused(self, events: int) -> None:
        """So many sound or unsound events were sent away together, to come again."""
        self._events.labels("refused").inc(events)

    def items(self, accepted: int, rejected: int) -> None:
        """A request for items was answered."""
        self._items.labels("accepted").inc(accepted)
        self._items.labels("rejected").inc(rejected)

    def answered(self, code: int, seconds: float) -> None:
        """A request was answered with this status, after so long."""
        self._requests.labels(str(code)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Everything in Prometheus' text format; reads the depths of the queue."""
        return generate_latest(self._registry)


class _Depths(Collector):
    def __init__(self, queue: Queue, streams: Sequence[str], dropped: Callable[[], int]) -> None:
        self._queue = queue
        self._streams = streams
        self._dropped = dropped

    def collect(self) -> list[GaugeMetricFamily | CounterMetricFamily]:
        depth = GaugeMetricFamily("slate_queue_depth", "Records that wait in a stream.", labels=("queue",))
        for stream in self._streams:
            try:
                depth.add_metric((stream,), self._queue.depth(stream))
            except SlateError:
                continue  # No figure is better than a wrong one; readiness tells that the state is down.
        dropped = CounterMetricFamily("slate_quarantine_dropped", "Malformed events that were not kept.")
        dropped.add_metric((), self._dropped())
        return [depth, dropped]
