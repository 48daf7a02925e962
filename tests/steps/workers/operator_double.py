"""A Kubernetes API with a training operator behind it, whose pods are processes of this machine."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAMESPACE = "kubeflow"
JOBS = f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/tfjobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
IMAGE = "europe-docker.pkg.dev/p/slate/slate-pipeline@sha256:" + "ab" * 32


class Operator:
    """Jobs by name, and what was asked of the API.

    ``runs`` says whether pods become processes; otherwise they stay as ``phase`` and ``waiting`` say.
    ``refusals`` are statuses with which the next requests of a method are answered.
    """

    def __init__(self, folder: Path, *, runs: bool) -> None:
        self.folder, self.runs = folder, runs
        self.jobs: dict[str, dict[str, Any]] = {}
        self.processes: dict[str, list[subprocess.Popen[str]]] = {}
        self.requests: list[tuple[str, str]] = []
        self.refusals: dict[str, list[int]] = {}
        self.waiting = ""
        self.failed = False
        self.url = ""

    def create(self, job: dict[str, Any]) -> None:
        name = job["metadata"]["name"]
        self.jobs[name] = job
        if not self.runs:
            return
        spec = job["spec"]["tfReplicaSpecs"]["Worker"]
        (container,) = spec["template"]["spec"]["containers"]
        addresses = [f"127.0.0.1:{port}" for port in free_ports(spec["replicas"])]
        self.processes[name] = [
            self._pod(container["command"], {"cluster": {"worker": addresses}}, index)
            for index in range(spec["replicas"])
        ]

    def _pod(self, command: list[str], told: dict[str, Any], index: int) -> subprocess.Popen[str]:
        assert command[0] == "slate"
        told = {**told, "task": {"type": "worker", "index": index}, "environment": "cloud"}
        with self.log(index).open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "slate.cli.main", *command[1:]],
                env={**os.environ, "TF_CONFIG": json.dumps(told), "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def log(self, index: int) -> Path:
        return self.folder / f"worker-{index}.log"

    def status(self, name: str) -> dict[str, Any]:
        statuses = [process.poll() for process in self.processes.get(name, [])]
        kinds = [("Created", "")]
        if self.runs:
            kinds.append(("Running", ""))
        if statuses and statuses[0] == 0:
            kinds.append(("Succeeded", "TFJob successfully completed."))
        elif self.failed or any(status not in (None, 0) for status in statuses):
            kinds.append(("Failed", f"TFJob {name} is failed because 1 Worker replica(s) failed."))
        conditions = [{"type": kind, "status": "True", "message": message} for kind, message in kinds]
        active = statuses.count(None)
        return {"conditions": conditions, "replicaStatuses": {"Worker": {"active": active} if active else {}}}

    def pods(self, name: str) -> list[dict[str, Any]]:
        phase = "Failed" if self.failed else "Pending" if self.waiting else "Running"
        state = {"waiting": {"reason": "x", "message": self.waiting}} if self.waiting else {"running": {}}
        container = {
            "name": "tensorflow", "state": state, "image": IMAGE, "imageID": "", "ready": False,
            "restartCount": 0,
        }  # fmt: skip
        return [
            {
                "metadata": {"name": f"{name}-worker-{index}"},
                "status": {"phase": phase, "containerStatuses": [container]},
            }
            for index in range(2 if name in self.jobs else 0)
        ]

    def delete(self, name: str) -> None:
        self.jobs.pop(name)
        for process in self.processes.pop(name, []):
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def serving(operator: Operator) -> Iterator[Operator]:
    """The operator behind an address, and nothing of it left afterwards."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(operator))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    operator.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield operator
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for name in list(operator.jobs):
            operator.delete(name)


def _handler(operator: Operator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, body: Any) -> None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _handle(self) -> None:
            path, _, query = self.path.partition("?")
            operator.requests.append((self.command, path))
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            if operator.refusals.get(self.command):
                status = operator.refusals[self.command].pop(0)
                return self._answer(status, {"message": f"said {status}"})
            name = path.rpartition("/")[2]
            if path == JOBS and self.command == "POST":
                if body["metadata"]["name"] in operator.jobs:
                    return self._answer(409, {"message": "already exists"})
                operator.create(body)
                return self._answer(201, body)
            if path.startswith(f"{JOBS}/"):
                if name not in operator.jobs:
                    return self._answer(404, {"message": f'tfjobs "{name}" not found'})
                job = {**operator.jobs[name], "status": operator.status(name)}
                if self.command == "DELETE":
                    operator.delete(name)
                return self._answer(200, job)
            if path == PODS:
                job_name = query.partition("job-name%3D")[2].partition("&")[0]
                return self._answer(200, {"items": operator.pods(job_name)})
            if path.endswith("/log"):
                return self._answer(200, "the last words")
            if path == f"{PODS}/launcher-pod":
                containers = [{"name": "wait", "image": "argo"}, {"name": "main", "image": IMAGE}]
                return self._answer(
                    200, {"spec": {"containers": containers, "serviceAccountName": "slate-pipeline"}}
                )
            return self._answer(404, {"message": path})

        do_GET = do_POST = do_DELETE = _handle  # noqa: N815

        def log_message(self, *_: Any) -> None:
            return

    return Handler
