"""The share of users that meet the candidate, as a metric: ``slate_rollout_weight``, by rollout."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from slate.errors import SlateError
from slate.release.rollouts import read_pointer
from slate.rollout.state import read_state
from slate.rollout.traffic.driver import BUCKETS
from slate.storage import ObjectStore


class WeightCollector(Collector):
    """Reads the last rollout's state whenever it is asked; tells nothing while it cannot."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge, 0 to 1."""
        found = GaugeMetricFamily(
            "slate_rollout_weight", "Share of users assigned to the candidate.", labels=["rollout_id"]
        )
        try:
            pointer = read_pointer(self._store)
            if pointer is not None:
                state = read_state(self._store, pointer.rollout_id).state
                found.add_metric([state.rollout_id], state.threshold / BUCKETS)
        except SlateError:
            return
        yield found


def serve_weight(store: ObjectStore, port: int) -> int:
    """Answer ``GET /metrics`` from a thread of its own; 0 takes a free port.

    Returns:
        the port.
    """
    registry = CollectorRegistry()
    registry.register(WeightCollector(store))
    server, _ = start_http_server(port, registry=registry)
    return int(server.server_port)
