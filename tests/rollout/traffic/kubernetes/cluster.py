"""A cluster as a rollout meets it over HTTP: the Kubernetes API, a Prometheus server, and servers of pods.

Objects are those that an overlay renders.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlparse

import yaml

from infra_checks.render import Document

Series = tuple[dict[str, str], float]

_OBJECT = re.compile(
    r"/apis/(?P<group>[^/]+)/(?P<version>[^/]+)/namespaces/slate/(?P<plural>\w+)/(?P<name>[\w-]+)"
)
_PLURALS = {
    "httproutes": "HTTPRoute",
    "envoyextensionpolicies": "EnvoyExtensionPolicy",
}


@dataclass
class Cluster:
    """``pods`` are by variant: the releases that they answer with, None for one that is not ready.

    ``series`` is what Prometheus knows, ``scraped`` seconds ago. ``refused`` is a status that the API answers
    with instead of doing anything. ``changed`` is told after each patch, before the answer.
    """

    documents: list[Document]
    pods: dict[str, list[str | None]] = field(default_factory=dict)
    series: Callable[[], list[Series]] = list
    scraped: float = 1.0
    refused: int | None = None
    changed: Callable[[dict[str, Any]], None] = lambda _: None
    patches: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    servers: dict[tuple[str, int], ThreadingHTTPServer] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def object(self, plural: str, name: str) -> Document:
        """One of the objects as it is now."""
        return next(
            each
            for each in self.documents
            if each["kind"] == _PLURALS[plural] and each["metadata"]["name"] == name
        )

    def port_of(self, variant: str, number: int) -> int:
        """Where a pod's server listens; it starts when somebody wants to know."""
        with self.lock:
            if (variant, number) not in self.servers:
                handler = type("Pod", (_Pod,), {"cluster": self, "variant": variant, "number": number})
                self.servers[variant, number] = _started(handler)
            return int(self.servers[variant, number].server_address[1])

    @property
    def context(self) -> dict[str, Any]:
        """The filter context: who meets which variant."""
        policy = self.object("envoyextensionpolicies", "slate-assignment")
        return dict(policy["spec"]["lua"][0]["filterContext"])

    def patch(self, plural: str, name: str, operations: list[dict[str, Any]]) -> Document:
        """Apply a JSON patch (RFC 6902, of which only ``replace`` is known) as a whole or not at all."""
        with self.lock:
            before = self.object(plural, name)
            after = deepcopy(before)
            for operation in operations:
                replace(after, operation)
            before.clear()
            before.update(after)
            self.patches.append((plural, operations))
        self.changed(self.context)
        return before


def replace(document: Document, operation: dict[str, Any]) -> None:
    """One ``replace``, which needs what it replaces."""
    if operation["op"] != "replace":
        raise ValueError(operation["op"])
    *steps, last = operation["path"].strip("/").split("/")
    place: Any = document
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if last not in place:
        raise KeyError(operation["path"])
    place[last] = operation["value"]


class _Answering(BaseHTTPRequestHandler):
    cluster: ClassVar[Cluster]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, body: Any, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Pod(_Answering):
    """A model server, as far as it says which release it has."""

    variant: ClassVar[str]
    number: ClassVar[int]

    def do_GET(self) -> None:
        release = self.cluster.pods[self.variant][self.number]
        known = self.path == "/v2/models/recommender" and release != "broken"
        self._answer({"name": "recommender", "versions": [release]}, 200 if known else 500)


class _Handler(_Answering):
    def do_GET(self) -> None:
        address = urlparse(self.path)
        if self.cluster.refused:
            return self._answer({"message": "no"}, self.cluster.refused)
        if address.path == "/api/v1/namespaces/slate/pods":
            return self._pods(parse_qs(address.query)["labelSelector"][0])
        match = _OBJECT.fullmatch(address.path)
        if match is None:
            return self._answer({"message": "not found"}, 404)
        return self._answer(self.cluster.object(match["plural"], match["name"]))

    def do_PATCH(self) -> None:
        operations = json.loads(self._body())
        match = _OBJECT.fullmatch(self.path)
        if self.cluster.refused or match is None:
            return self._answer({"message": "no"}, self.cluster.refused or 404)
        if self.headers["Content-Type"] != "application/json-patch+json":
            return self._answer({"message": "unsupported"}, 415)
        try:
            return self._answer(self.cluster.patch(match["plural"], match["name"], operations))
        except (KeyError, ValueError, IndexError) as error:
            return self._answer({"message": repr(error)}, 422)

    def do_POST(self) -> None:
        query = parse_qs(self._body().decode())["query"][0]
        now = time.time()
        if query.startswith("min(timestamp("):
            values: list[Series] = [({}, now - self.cluster.scraped)] if self.cluster.series() else []
        else:
            names = re.search(r'envoy_cluster_name=~"([^"]+)"', query)
            assert names is not None
            wanted = re.compile(names[1])
            values = [
                each for each in self.cluster.series() if wanted.fullmatch(each[0]["envoy_cluster_name"])
            ]
        found = [{"metric": labels, "value": [now, str(value)]} for labels, value in values]
        self._answer({"status": "success", "data": {"resultType": "vector", "result": found}})

    def _pods(self, selector: str) -> None:
        variant = selector.removeprefix("slate.dev/variant=")
        self._answer(
            {
                "kind": "PodList",
                "apiVersion": "v1",
                "metadata": {},
                "items": [
                    _pod(f"{variant}-{number}", release is not None, self.cluster.port_of(variant, number))
                    for number, release in enumerate(self.cluster.pods.get(variant, []))
                ],
            }
        )

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))


def _pod(name: str, ready: bool, port: int) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "server", "ports": [{"containerPort": port}]}]},
        "status": {
            "podIP": "127.0.0.1",
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed are no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _started(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


@contextmanager
def running(cluster: Cluster) -> Iterator[str]:
    """The cluster's address, both of its API and of its Prometheus server."""
    server = _started(type("Handler", (_Handler,), {"cluster": cluster}))
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        for each in (server, *cluster.servers.values()):
            each.shutdown()
            each.server_close()


def kubeconfig(folder: Path, url: str) -> Path:
    """A kubeconfig that leads there."""
    path = folder / "kubeconfig"
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    return path


def counted(rule: str, answered: int, failed: int, slow_ms: float = 15.0, proxy: str = "p0") -> list[Series]:
    """What Envoy's metrics say of one cluster: all took ``slow_ms``."""
    name = f"httproute/slate/slate-recommender/rule/{rule}"
    base = {"envoy_cluster_name": name, "pod": proxy}
    classes = {"2": answered - failed, "5": failed}
    found: list[Series] = [
        (
            {"__name__": "envoy_cluster_upstream_rq_xx", "envoy_response_code_class": code, **base},
            float(value),
        )
        for code, value in classes.items()
    ]
    for bound in ("10", "25", "50", "100", "+Inf"):
        inside = answered if slow_ms <= float(bound.replace("+Inf", "inf")) else 0
        found.append(
            ({"__name__": "envoy_cluster_upstream_rq_time_bucket", "le": bound, **base}, float(inside))
        )
    return found
