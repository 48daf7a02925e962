"""What the gateway counted of each variant, from its own metrics in Prometheus.

Envoy Gateway calls the cluster of a route's rule ``httproute/<namespace>/<route>/rule/<place>``, and that of
its mirror the same with ``-mirror-<place of the filter>``. Of a cluster Envoy counts
``envoy_cluster_upstream_rq_xx`` by class of status (resets, timeouts and refusals are 5xx that it answers
itself) and ``envoy_cluster_upstream_rq_time`` in milliseconds. Counters are read as they stand and compared
with how they stood before, so nothing is counted twice or extrapolated, and a proxy that starts again counts
from 0.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from slate.errors import ConfigError, GatewayError
from slate.rollout.judge.evidence import Requests

_CLASSES: Final = "envoy_cluster_upstream_rq_xx"
_TIMES: Final = "envoy_cluster_upstream_rq_time_bucket"
_CLUSTER: Final = "envoy_cluster_name"
_TIMEOUT: Final = (2.0, 5.0)
_QUANTILE: Final = 0.99

#: Counters by series, each named by all of its labels in their order.
Counters = dict[str, float]


class Stand(NamedTuple):
    """How all counters stand, and when the oldest proxy of them was last scraped, in seconds since 1970."""

    counters: Counters
    scraped: float


class Prometheus:
    """A Prometheus server.

    Raises (all methods):
        GatewayError: it cannot be asked, or knows nothing of these clusters.
    """

    def __init__(self, url: str) -> None:
        if not url:
            raise ConfigError(
                "rollout.gateway.prometheus: is not set; name the server that scrapes the gateway's proxies"
            )
        self._url = url.rstrip("/")

    def stand(self, clusters: Sequence[str]) -> Stand:
        """How the counters of these clusters stand now."""
        names = "|".join(clusters)
        chosen = f'{{{_CLUSTER}=~"{names}"}}'
        found = self._asked(f'{{__name__=~"{_CLASSES}|{_TIMES}",{_CLUSTER}=~"{names}"}}')
        scraped = self._asked(f"min(timestamp({_CLASSES}{chosen}))")
        counters = {_series(each["metric"]): float(each["value"][1]) for each in found}
        if not counters or not scraped:
            raise GatewayError(
                f"{self._url}: has no {_CLASSES} of {clusters[0]}; let it scrape the gateway's proxies"
            )
        return Stand(counters, float(scraped[0]["value"][1]))

    def _asked(self, query: str) -> list[dict[str, Any]]:
        import requests

        try:
            answer = requests.post(f"{self._url}/api/v1/query", data={"query": query}, timeout=_TIMEOUT)
            answer.raise_for_status()
            found: list[dict[str, Any]] = answer.json()["data"]["result"]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise GatewayError(f"Prometheus at {self._url}: {error}") from error
        return found


def risen(before: Mapping[str, float], now: Mapping[str, float]) -> Counters:
    """By how much each counter rose; one that fell began again from 0.

    >>> risen({"a": 5, "b": 9}, {"a": 7, "b": 2, "c": 3})
    {'a': 2, 'b': 2, 'c': 3}
    """
    return {
        name: value - before.get(name, 0) if value >= before.get(name, 0) else value
        for name, value in now.items()
    }


def requests_of(cluster: str, counters: Mapping[str, float]) -> Requests:
    """What a cluster answered, given how much its counters rose."""
    total, errors = 0.0, 0.0
    buckets: dict[float, float] = {}
    for name, value in counters.items():
        labels = _labels(name)
        if labels.get(_CLUSTER) != cluster:
            continue
        if labels["__name__"] == _CLASSES:
            total += value
            errors += value if labels.get("envoy_response_code_class") == "5" else 0
        else:
            bound = float(labels["le"].replace("+Inf", "inf"))
            buckets[bound] = buckets.get(bound, 0.0) + value
    return Requests(round(total), round(errors), quantile(buckets, _QUANTILE))


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Of a cumulative histogram, by straight lines within buckets; None where it is empty.

    What lies above the last bound is taken to lie at it.

    >>> quantile({10.0: 50, 20.0: 100, float("inf"): 100}, 0.75)
    15.0
    """
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    wanted = share * buckets[bounds[-1]]
    low, below = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if not math.isfinite(bound):
                return low
            inside = buckets[bound] - below
            return low + (bound - low) * ((wanted - below) / inside if inside else 1.0)
        low, below = bound, buckets[bound]
    return low


def _series(metric: Mapping[str, str]) -> str:
    return "\x1f".join(f"{name}={metric[name]}" for name in sorted(metric))


def _labels(series: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in series.split("\x1f"))
