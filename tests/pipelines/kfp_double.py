"""A Kubeflow Pipelines API server (v2beta1) in memory, strict where the real one is.

Every body is checked against the models of ``kfp_server_api``: an unknown field or a value of another type
is a 400. Uploads must parse as a pipeline, names must be free, runs must name an existing version and give
exactly the parameters that its pipeline declares, of the declared types.
"""

import datetime
import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import kfp_server_api
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

_PRIMITIVES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "STRING": str,
    "STRUCT": dict,
    "BOOLEAN": bool,
    "NUMBER_DOUBLE": (int, float),
    "LIST": list,
}


# Protocol buffers in JSON write a 64-bit integer as a string, and read both.
_INT64 = (".max_concurrency", ".interval_second")


class RefusalError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check(value: Any, kind: str, where: str = "body") -> None:
    """Refuse a value that the model named ``kind`` could not hold."""
    if value is None or kind == "object":
        return
    if kind in _PRIMITIVES:
        if where.endswith(_INT64) and isinstance(value, int):
            return
        if not isinstance(value, _PRIMITIVES[kind]):
            raise RefusalError(400, f"{where}: {value!r} is no {kind}")
        return
    if kind == "datetime":
        datetime.datetime.fromisoformat(value)
        return
    if match := re.fullmatch(r"list\[(.*)\]", kind):
        for position, item in enumerate(value):
            check(item, match[1], f"{where}[{position}]")
        return
    if match := re.fullmatch(r"dict\(str, (.*)\)", kind):
        for key, item in value.items():
            check(item, match[1], f"{where}.{key}")
        return
    model = getattr(kfp_server_api.models, kind)
    if not model.openapi_types:
        allowed = {member for name, member in vars(model).items() if name.isupper()}
        if value not in allowed:
            raise RefusalError(400, f"{where}: {value!r} is none of {sorted(allowed)}")
        return
    if not isinstance(value, dict):
        raise RefusalError(400, f"{where}: expected an object")
    names = {json_name: attribute for attribute, json_name in model.attribute_map.items()}
    for key, item in value.items():
        if key not in names:
            raise RefusalError(400, f"{where}: unknown field {key!r} in {kind}")
        check(item, model.openapi_types[names[key]], f"{where}.{key}")
    model(**{names[key]: item for key, item in value.items()})


class Server:
    """The state of the double and what it was asked."""

    def __init__(
        self, *, multi_user: bool = False, token: str | None = None, forbidden: bool = False
    ) -> None:
        self.multi_user, self.token, self.forbidden = multi_user, token, forbidden
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: list[dict[str, Any]] = []
        self.recurring: list[dict[str, Any]] = []
        self.url = ""

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> Any:
        """The JSON answer to one request."""
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            raise RefusalError(401, "Request header error: there is no user identity header.")
        if path == "/apis/v2beta1/healthz":
            return {"multi_user": self.multi_user}
        if self.forbidden:
            raise RefusalError(403, "User 'ann@example.org' is not authorized")
        routes = {
            ("GET", r"/apis/v2beta1/pipelines"): self._list_pipelines,
            ("POST", r"/apis/v2beta1/pipelines/upload"): self._upload,
            ("POST", r"/apis/v2beta1/pipelines/upload_version"): self._upload_version,
            ("GET", r"/apis/v2beta1/pipelines/([^/]+)/versions"): self._list_versions,
            ("GET", r"/apis/v2beta1/experiments"): self._list_experiments,
            ("POST", r"/apis/v2beta1/experiments"): self._create_experiment,
            ("POST", r"/apis/v2beta1/runs"): self._create_run,
            ("POST", r"/apis/v2beta1/recurringruns"): self._create_recurring,
        }
        for (verb, pattern), handler in routes.items():
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                return handler(query, _decoded(headers, body), *match.groups())
        raise RefusalError(404, f"{method} {path}: no such thing")

    def _list_pipelines(self, query: dict[str, str], _: Any) -> Any:
        _only(query, "filter", "page_size", "page_token", "sort_by", "namespace")
        found = [p for p in self.pipelines.values() if p.get("namespace") == query.get("namespace")]
        return {"pipelines": _filtered(found, query)} if _filtered(found, query) else {}

    def _upload(self, query: dict[str, str], file: bytes) -> Any:
        _only(query, "name", "display_name", "description", "namespace")
        _parsed(file)
        if any(p["display_name"] == query["name"] for p in self.pipelines.values()):
            raise RefusalError(409, f"Already exist error: pipeline {query['name']}")
        made = _new("pipeline_id", display_name=query["name"], namespace=query.get("namespace"))
        self.pipelines[made["pipeline_id"]] = made
        self._add_version(made["pipeline_id"], query["name"], file)
        return made

    def _upload_version(self, query: dict[str, str], file: bytes) -> Any:
        _only(query, "name", "display_name", "description", "pipelineid")
        if query["pipelineid"] not in self.pipelines:
            raise RefusalError(404, f"Pipeline {query['pipelineid']} not found")
        if any(
            v["display_name"] == query["name"] and v["pipeline_id"] == query["pipelineid"]
            for v in self.versions.values()
        ):
            raise RefusalError(409, f"Already exist error: pipeline version {query['name']}")
        return self._add_version(query["pipelineid"], query["name"], file)

    def _add_version(self, pipeline: str, name: str, file: bytes) -> dict[str, Any]:
        made = _new(
            "pipeline_version_id", pipeline_id=pipeline, display_name=name, pipeline_spec=_parsed(file)
        )
        self.versions[made["pipeline_version_id"]] = made
        return made

    def _list_versions(self, query: dict[str, str], _: Any, pipeline: str) -> Any:
        _only(query, "filter", "page_size", "page_token", "sort_by")
        found = [v for v in self.versions.values() if v["pipeline_id"] == pipeline]
        return {"pipeline_versions": _filtered(found, query)}

    def _list_experiments(self, query: dict[str, str], _: Any) -> Any:
        _only(query, "filter", "page_size", "page_token", "sort_by", "namespace")
        self._namespace(query.get("namespace"))
        found = [
            e for e in self.experiments.values() if e.get("namespace") == (query.get("namespace") or None)
        ]
        return {"experiments": _filtered(found, query)}

    def _create_experiment(self, query: dict[str, str], body: Any) -> Any:
        _only(query)
        check(body, "V2beta1Experiment")
        self._namespace(body.get("namespace"))
        made = _new(
            "experiment_id", display_name=body["display_name"], namespace=body.get("namespace") or None
        )
        self.experiments[made["experiment_id"]] = made
        return made

    def _create_run(self, query: dict[str, str], body: Any) -> Any:
        _only(query, "experiment_id")
        check(body, "V2beta1Run")
        self._runnable(body)
        made = {**body, **_new("run_id", state="PENDING")}
        self.runs.append(made)
        return made

    def _create_recurring(self, query: dict[str, str], body: Any) -> Any:
        _only(query)
        check(body, "V2beta1RecurringRun")
        self._runnable(body)
        cron = body["trigger"]["cron_schedule"]["cron"]
        if len(cron.split()) != 6:
            raise RefusalError(400, f"Schedule cron is not supported: expected 6 fields, found {cron!r}")
        if not 1 <= int(body["max_concurrency"]) <= 10:
            raise RefusalError(400, "max_concurrency must be 1 to 10")
        made = {**body, **_new("recurring_run_id", status="ENABLED")}
        self.recurring.append(made)
        return made

    def _namespace(self, namespace: str | None) -> None:
        if self.multi_user and not namespace:
            raise RefusalError(400, "Invalid input error: A namespace is required in multi-user mode")
        if not self.multi_user and namespace:
            raise RefusalError(400, "Invalid input error: In single-user mode, namespace must be empty")

    def _runnable(self, body: dict[str, Any]) -> None:
        if body["experiment_id"] not in self.experiments:
            raise RefusalError(404, f"Experiment {body['experiment_id']} not found")
        reference = body["pipeline_version_reference"]
        version = self.versions.get(reference["pipeline_version_id"])
        if version is None or version["pipeline_id"] != reference["pipeline_id"]:
            raise RefusalError(404, f"Pipeline version {reference} not found")
        declared = version["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]
        given = body["runtime_config"].get("parameters", {})
        for name, value in given.items():
            if name not in declared:
                raise RefusalError(400, f"parameter {name} is not part of the pipeline")
            if not isinstance(value, _TYPES[declared[name]["parameterType"]]):
                raise RefusalError(
                    400, f"parameter {name}: {value!r} is no {declared[name]['parameterType']}"
                )
        missing = {n for n, p in declared.items() if "defaultValue" not in p and not p.get("isOptional")}
        if missing - set(given):
            raise RefusalError(400, f"parameters {sorted(missing - set(given))} are required")


def _new(key: str, **fields: Any) -> dict[str, Any]:
    return {key: str(uuid.uuid4()), "created_at": "2026-11-21T03:00:00Z", **fields}


def _only(query: dict[str, str], *allowed: str) -> None:
    if unknown := set(query) - set(allowed):
        raise RefusalError(400, f"unknown query parameters {sorted(unknown)}")


def _filtered(found: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
        # Protocol buffers in JSON take an enum by name or by number.
        if predicate["operation"] not in ("EQUALS", 1) or set(predicate) != {
            "operation",
            "key",
            "stringValue",
        }:
            raise RefusalError(400, f"filter {predicate}: not understood")
        found = [item for item in found if item[predicate["key"]] == predicate["stringValue"]]
    return found


def _parsed(file: bytes) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(file)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    return spec


def _decoded(headers: Any, body: bytes) -> Any:
    kind = headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        (part,) = message.iter_parts()
        if part.get_param("name", header="content-disposition") != "uploadfile":
            raise RefusalError(400, "the file must be called uploadfile")
        return part.get_payload(decode=True)
    return json.loads(body) if body else None


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Answer on a free port of the loopback interface while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            parts = urlsplit(self.path)
            try:
                status, answer = (
                    200,
                    server.answer(
                        self.command,
                        parts.path,
                        dict(parse_qsl(parts.query)),
                        self.headers,
                        self.rfile.read(length),
                    ),
                )
            except RefusalError as refused:
                status, answer = refused.status, {"code": 3, "message": str(refused), "details": []}
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
