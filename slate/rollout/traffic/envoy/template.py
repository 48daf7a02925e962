"""What the gateway of a cluster does with every request, read from the very files that a cluster applies.

What these files set and the gateway of one machine does not know is an error: it would otherwise be lost in
silence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from slate.errors import ConfigError

_SCRIPT: Final = "assign.lua"
_POLICIES: Final = "policies.yaml"
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZES: Final = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}


@dataclass(frozen=True)
class Ejection:
    """When a server is left out for a while: after so many ``failures`` in a row."""

    interval_s: float
    failures: int
    seconds: float
    percent: int


@dataclass(frozen=True)
class Template:
    """The settings of both gateways. Times are in seconds, ``buffer`` is in bytes.

    ``script`` is the Lua that assigns users, ``removed`` are headers that nobody outside may send.
    ``connections``, ``waiting``, ``requests`` and ``retries`` bound what a variant is asked at once.
    """

    script: str
    removed: tuple[str, ...]
    merge_slashes: bool
    received_s: float
    buffer: int
    connect_s: float
    request_s: float
    idle_s: float
    connections: int
    waiting: int
    requests: int
    retries: int
    ejection: Ejection


def template_folder() -> Path:
    """Where the files are: in the wheel, or in the checkout."""
    package = Path(__file__).parents[3]
    shipped = package / "gateway"
    return shipped if shipped.exists() else package.parent / "k8s" / "base" / "gateway"


def read_template(folder: Path | None = None) -> Template:
    """The settings as the files hold them.

    Raises:
        ConfigError: a file is missing, or sets what is not known here.
    """
    folder = folder or template_folder()
    try:
        script = (folder / _SCRIPT).read_text(encoding="utf-8")
        documents = list(yaml.safe_load_all((folder / _POLICIES).read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"gateway settings {folder}: cannot be read ({error}); reinstall Slate") from error
    specs = {document["kind"]: document["spec"] for document in documents}
    client = _Settings("ClientTrafficPolicy", specs, folder)
    backend = _Settings("BackendTrafficPolicy", specs, folder)
    if client.take("path.escapedSlashesAction") != "RejectRequest":
        raise ConfigError(f"{folder / _POLICIES}: escapedSlashesAction is not RejectRequest; set it")
    found = Template(
        script=script,
        removed=tuple(client.take("headers.earlyRequestHeaders.remove")),
        merge_slashes=not client.take("path.disableMergeSlashes"),
        received_s=_seconds(client.take("timeout.http.requestReceivedTimeout")),
        buffer=_bytes(client.take("connection.bufferLimit")),
        connect_s=_seconds(backend.take("timeout.tcp.connectTimeout")),
        request_s=_seconds(backend.take("timeout.http.requestTimeout")),
        idle_s=_seconds(backend.take("timeout.http.connectionIdleTimeout")),
        connections=backend.take("circuitBreaker.maxConnections"),
        waiting=backend.take("circuitBreaker.maxPendingRequests"),
        requests=backend.take("circuitBreaker.maxParallelRequests"),
        retries=backend.take("circuitBreaker.maxParallelRetries"),
        ejection=Ejection(
            interval_s=_seconds(backend.take("healthCheck.passive.interval")),
            failures=backend.take("healthCheck.passive.consecutive5XxErrors"),
            seconds=_seconds(backend.take("healthCheck.passive.baseEjectionTime")),
            percent=backend.take("healthCheck.passive.maxEjectionPercent"),
        ),
    )
    client.nothing_left()
    backend.nothing_left()
    return found


class _Settings:
    """The settings of one policy by their dotted names; each is taken once."""

    def __init__(self, kind: str, specs: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        self._where = f"{folder / _POLICIES}: {kind}"
        spec = {name: value for name, value in specs.get(kind, {}).items() if name != "targetRefs"}
        self._left = _flat(spec)

    def take(self, name: str) -> Any:
        if name not in self._left:
            raise ConfigError(f"{self._where} does not set {name}; the gateway of one machine needs it too")
        return self._left.pop(name)

    def nothing_left(self) -> None:
        if self._left:
            raise ConfigError(
                f"{self._where} sets {', '.join(sorted(self._left))}, which the gateway of one machine does "
                "not know; teach it, in slate/rollout/traffic/envoy"
            )


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in node.items():
        leaves |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return leaves


def _seconds(text: str) -> float:
    """A duration as the Gateway API spells it.

    >>> _seconds("1m30s"), _seconds("250ms")
    (90.0, 0.25)
    """
    parts = re.findall(r"([0-9]+)(h|ms|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"gateway settings: {text!r} is no duration; write it like 1m30s")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _bytes(text: str) -> int:
    """A quantity of Kubernetes, in bytes.

    >>> _bytes("5Mi")
    5242880
    """
    match = re.fullmatch(r"([0-9]+)(Ki|Mi|Gi|)", text)
    if match is None:
        raise ConfigError(f"gateway settings: {text!r} is no size; write it like 5Mi")
    return int(match[1]) * _SIZES[match[2]]
