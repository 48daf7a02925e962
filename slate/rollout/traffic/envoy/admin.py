"""What Envoy's administration says, over HTTP on the loopback."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final

from slate.errors import GatewayError
from slate.rollout.traffic.envoy.routes import VARIANTS

_TIMEOUT: Final = 2.0
_FILTER: Final = (
    rf"^cluster\.({'|'.join(VARIANTS)})\.upstream_rq_([1-5]xx|time)$|^server\.uptime$"  # as RE2 reads it
)


@dataclass(frozen=True)
class Bucket:
    """So many requests took ``low`` to below ``low + width`` milliseconds."""

    low: float
    width: float
    count: int


@dataclass(frozen=True)
class Counters:
    """What one variant was asked since Envoy started; ``times`` are of the requests that were answered."""

    requests: int = 0
    errors: int = 0
    times: Sequence[Bucket] = ()


@dataclass(frozen=True)
class Reading:
    """All variants at one instant; ``uptime_s`` are whole seconds since Envoy started."""

    uptime_s: int
    variants: Mapping[str, Counters] = field(default_factory=dict)


class Admin:
    """One Envoy, by the port of its administration. Every method raises GatewayError where it is silent."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def live(self) -> bool:
        """Whether it takes requests."""
        try:
            return self._get("/ready").strip() == b"LIVE"
        except GatewayError:
            return False

    def routes_version(self) -> str:
        """The version of the routes it goes by; empty before the first ones."""
        dump = self._json("/config_dump?resource=dynamic_route_configs")
        return next((str(each["version_info"]) for each in dump.get("configs", [])), "")

    def read(self) -> Reading:
        """Every counter from its beginning."""
        query = f"format=json&histogram_buckets=detailed&filter={urllib.parse.quote(_FILTER)}"
        return reading(self._json(f"/stats?{query}"))

    def _json(self, path: str) -> Any:
        try:
            return json.loads(self._get(path))
        except ValueError as error:
            raise GatewayError(f"{self._url}{path}: is no JSON ({error}); is that port Envoy's?") from error

    def _get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(self._url + path, timeout=_TIMEOUT) as answer:  # noqa: S310 (ours)
                found: bytes = answer.read()
                return found
        except (OSError, HTTPException, urllib.error.URLError) as error:
            raise GatewayError(
                f"the gateway does not answer at {self._url} ({error}); 'slate up' starts it"
            ) from error


def reading(stats: Mapping[str, Any]) -> Reading:
    """Envoy's statistics in JSON, as counters.

    Raises:
        GatewayError: they are not what this version of Envoy says.
    """
    codes: dict[str, dict[str, int]] = {name: {} for name in VARIANTS}
    times: dict[str, list[Bucket]] = {name: [] for name in VARIANTS}
    uptime = 0
    try:
        for stat in stats["stats"]:
            if "histograms" in stat:
                for each in stat["histograms"]["details"]:
                    times[_variant(each["name"])] = [_bucket(total) for total in each["totals"]]
            elif stat["name"] == "server.uptime":
                uptime = int(stat["value"])
            else:
                codes[_variant(stat["name"])][stat["name"][-3:]] = int(stat["value"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise GatewayError(f"the gateway's statistics cannot be read ({error!r}); see its version") from error
    counted = {
        name: Counters(sum(codes[name].values()), codes[name].get("5xx", 0), times[name]) for name in VARIANTS
    }
    return Reading(uptime, counted)


def _variant(name: str) -> str:
    return name.split(".")[1]


def _bucket(total: Mapping[str, Any]) -> Bucket:
    return Bucket(float(total["lower_bound"]), float(total["width"]), int(total["count"]))
