"""A server as operators run it, one process for all: probes while it loads, metrics, traces, logs, Ctrl-C."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from kserve import InferInput, InferRequest
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from slate.release.channels import move_channel
from slate.storage import open_store
from tests.conftest import TinyRun
from tests.serving.collector import Collector, Seen, collector
from tests.serving.conftest import free_ports

ROOT = Path(__file__).parents[2]
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = PARENT.split("-")[1]
PATIENT = ("deadline", "retrieve", "filter", "score", "order")


class Operated:
    """``python -m serving`` over one release, or over a store and its channel ``stable``."""

    def __init__(self, source: Path, folder: Path, environment: dict[str, str], **options: Any) -> None:
        http, grpc = free_ports(2)
        self.url, self.grpc, self.log = f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}", folder / "log"
        given = {"http_port": http, "grpc_port": grpc, "state": folder / "state.db", **options}
        kind = "--store" if (source / "releases").is_dir() else "--release"
        command = [sys.executable, "-m", "serving", kind, str(source)]
        for name, value in given.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        with self.log.open("wb") as sink:
            settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
            self.process = subprocess.Popen(command, stdout=sink, stderr=sink, env=settings, cwd=ROOT)

    def until(self, path: str, status: int = 200, seconds: float = 120.0) -> None:
        """Wait for a probe."""
        ends = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            try:
                if httpx.get(self.url + path, timeout=5).status_code == status:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)

    def slate(self, headers: dict[str, str] | None = None, **instance: Any) -> httpx.Response:
        body = {"instances": [instance]}
        return httpx.post(f"{self.url}/v1/models/recommender:predict", json=body, headers=headers, timeout=60)

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Samples by name and sorted label values."""
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        return {
            (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def logged(self) -> list[dict[str, Any]]:
        """The log; every line that is JSON is ours."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def traced() -> Iterator[Collector]:
    with collector() as listening:
        yield listening


@pytest.fixture(scope="module")
def operated(
    tiny: TinyRun, traced: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operated]:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": traced.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "SLATE_SIGNING_KEYS": "a:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    }
    patient = {f"{name}_ms": 20_000 for name in PATIENT}
    release = Path(tiny.store) / "releases" / tiny.release_id
    folder = tmp_path_factory.mktemp("operated")
    # One lane, so that what is asked together is answered together.
    made = Operated(release, folder, environment, lanes=1, drain_s=2, **patient)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def wait(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_it_lives_before_it_is_ready_and_says_so(tiny: TinyRun, tmp_path: Path) -> None:
    source, store = Path(tiny.store), tmp_path / "store"
    shutil.copytree(source / "releases", store / "releases")
    operated = Operated(store, tmp_path, {}, poll_s=0.1)
    try:
        operated.until("/v2/health/live")
        assert httpx.get(f"{operated.url}/v2/health/ready").status_code == 503
        early = operated.slate(user_id="p1")
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        move_channel(
            open_store(str(store)), "stable", tiny.release_id, "first", "a test", expected_sequence=0
        )
        operated.until("/v2/models/recommender/ready")
        assert operated.slate(user_id="p1").status_code == 200
    finally:
        operated.process.kill()
        operated.process.wait()


def test_every_metric_moves(operated: Operated, tiny: TinyRun) -> None:
    operated.until("/v2/models/recommender/ready")
    before = operated.metrics()
    assert operated.slate(user_id="p1", k=3).json()["predictions"][0]["exposure_id"]
    assert operated.slate(user_id="p1", k=0).status_code == 400
    assert operated.slate(user_id="p1", deadline_ms=0.001).json()["predictions"][0]["rung"] == "popular"
    every = [f"film {number:02d}, é" for number in range(60)]
    nothing = operated.slate(exclude=every)
    assert (nothing.status_code, nothing.json()["predictions"][0]["items"]) == (200, [])
    ranker = httpx.post(
        f"{operated.url}/v1/models/ranker:predict",
        json={"instances": [{"item_ids": every[:3]}]},
        timeout=30,
    )
    assert ranker.status_code == 200
    after = operated.metrics()

    def moved(*name: str) -> float:
        return after[name] - before.get(name, 0)

    assert moved("slate_requests_total", "200", "recommender", "stable") == 3
    assert moved("slate_requests_total", "400", "recommender", "stable") == 1
    assert moved("slate_requests_total", "200", "ranker", "stable") == 1
    assert moved("slate_slates_total", "personalised") == 1
    assert moved("slate_slates_total", "popular") == 1
    assert moved("slate_slates_total", "static") == 1
    assert moved("slate_falls_total", "late", "funnel") == 1
    assert moved("slate_falls_total", "empty", "order") == 1
    assert moved("slate_empty_slates_total") == 1
    assert moved("slate_filtered_items_total", "seen") > 0
    assert moved("slate_filtered_items_total", "excluded") > 0
    assert after["slate_release_info", "", tiny.release_id] == 1
    assert after["slate_exposures_dropped_total",] == 0
    assert {after["slate_shed_total", why] for why in ("full", "slow", "draining")} == {0}
    assert ("slate_slates_total", "precomputed") in after, "what has not happened yet is 0, not absent"
    for stage in ("retrieve", "filter", "score", "order"):
        assert moved("slate_stage_seconds_count", stage) >= 2
    bounds = {float(name[1]) for name in after if name[0] == "slate_stage_seconds_bucket"}
    assert (min(bounds), sorted(bounds)[-2]) == (0.001, 20.0)


def test_a_request_is_one_trace_from_its_client_on(operated: Operated, traced: Collector) -> None:
    operated.until("/v2/models/recommender/ready")
    answer = operated.slate({"traceparent": PARENT}, user_id="p1", k=3)
    told = answer.headers["traceparent"].split("-")
    assert told[1] == TRACE
    wait(lambda: len(traced.of_trace(TRACE)) >= 6)
    spans = {span.name: span for span in traced.of_trace(TRACE)}
    request = spans["POST /v1/models/recommender:predict"]
    assert (request.id, request.parent) == (told[2], PARENT.split("-")[2])
    assert request.service == "slate-serving"
    assert request.attributes == {
        "slate.model": "recommender",
        "slate.variant": "stable",
        "slate.rung": "personalised",
        "slate.release_id": answer.json()["predictions"][0]["release_id"],
        "http.response.status_code": 200,
    }
    batch = spans["batch"]
    assert (batch.parent, batch.attributes) == (request.id, {"slate.batch.size": 1})
    stages = [name for name, span in spans.items() if span.parent == batch.id]
    assert sorted(stages) == ["stage filter", "stage order", "stage retrieve", "stage score"]


def test_requests_answered_together_share_a_linked_batch(operated: Operated, traced: Collector) -> None:
    operated.until("/v2/models/recommender/ready")

    def whole() -> list[Seen]:
        """Batches of nothing but requests; golden ones join some, and nobody traces those."""
        batches = list(traced.named("batch"))
        return [each for each in batches if 1 < each.attributes["slate.batch.size"] == len(each.links)]

    def shared() -> bool:
        with ThreadPoolExecutor(8) as pool:
            assert all(
                a.status_code == 200 for a in pool.map(lambda n: operated.slate(user_id=n), "abcdefgh")
            )
        return bool(whole())

    wait(shared)
    batch = whole()[0]
    wait(lambda: {span.id for span in traced.named("POST")} >= set(batch.links))
    asked = [span for span in traced.named("POST") if span.id in batch.links]
    assert len(asked) == batch.attributes["slate.batch.size"]
    assert batch.parent == ""
    assert all(batch.id in span.links for span in asked)
    assert all(span.trace != batch.trace for span in asked)


def test_grpc_is_traced_too(operated: Operated, traced: Collector) -> None:
    operated.until("/v2/models/recommender/ready")
    parent = PARENT.replace("4bf9", "5bf9")

    async def ask() -> str:
        asked = InferRequest("recommender", [InferInput("user_id", [1], "BYTES", ["p1"])], "r1").to_grpc()
        async with grpc.aio.insecure_channel(operated.grpc) as channel:
            stub = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel)
            call = stub.ModelInfer(asked, metadata=(("traceparent", parent),), timeout=60)
            await call
            return dict(await call.trailing_metadata())["traceparent"]

    told = asyncio.run(ask())
    trace = parent.split("-")[1]
    wait(lambda: len(traced.of_trace(trace)) >= 6)
    (call,) = [span for span in traced.of_trace(trace) if span.name.endswith("ModelInfer")]
    assert call.parent == parent.split("-")[2]
    assert call.attributes["slate.rung"] == "personalised"
    assert call.id == told.split("-")[2]


def test_ctrl_c_answers_what_is_asked_and_goes_well(operated: Operated, traced: Collector) -> None:
    operated.until("/v2/models/recommender/ready")
    body = {"instances": [{"user_id": "p1", "k": 1}]}
    with httpx.Client(base_url=operated.url, timeout=60) as client:
        late = [client.post("/v1/models/recommender:predict", json=body)]
        operated.process.send_signal(signal.SIGINT)
        late += [client.post("/v1/models/recommender:predict", json=body) for _ in range(3)]
    assert operated.process.wait(60) == 0, operated.log.read_text()
    assert {each.status_code for each in late} == {200}
    own = {each.headers["traceparent"].split("-")[1] for each in late}
    assert own <= {span.trace for span in traced.spans}, "what waited was exported"
    said = operated.logged()
    assert any("going down" in line["message"] for line in said)
    assert all({"time", "level", "logger", "message"} <= set(line) for line in said)
    assert not [line for line in said if line["level"] == "error"]
    assert "Traceback" not in operated.log.read_text()


def test_two_signals_end_it_at_once(tiny: TinyRun, tmp_path: Path) -> None:
    release = Path(tiny.store) / "releases" / tiny.release_id
    made = Operated(release, tmp_path, {}, drain_s=600, log_file=tmp_path / "serve.log")
    try:
        made.until("/v2/health/live")
        made.process.send_signal(signal.SIGINT)
        made.until("/v2/health/ready", 503)
        wait(lambda: "still answering" in (tmp_path / "serve.log").read_text())
        assert made.process.poll() is None, "it drains"
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(60) == 128 + signal.SIGTERM
        said = [json.loads(line)["message"] for line in (tmp_path / "serve.log").read_text().splitlines()]
        assert "going down at once: told twice" in said
    finally:
        made.process.kill()
        made.process.wait()


def test_without_an_endpoint_nothing_of_tracing_is_loaded() -> None:
    script = (
        "import sys, serving.run; from serving.tracing import spans_from_environment as spans;"
        "assert spans('stable') is None;"
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    assert run.stdout.strip() == "[]"


def test_an_exporter_that_is_down_costs_nothing() -> None:
    """Four times what its queue holds, while nobody ever answers; in a process of its own."""
    script = (
        "import time; from serving.spans import OtlpSpans; spans = OtlpSpans('stable'); slowest = 0.0\n"
        "for _ in range(8192):\n"
        "    began = time.monotonic()\n"
        "    with spans.request('POST /', 'recommender', {}) as span: span.status(200)\n"
        "    slowest = max(slowest, time.monotonic() - began)\n"
        "began = time.monotonic(); spans.close(); print(slowest, time.monotonic() - began)"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "30",
        }
        command = [sys.executable, "-c", script]
        run = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True, timeout=60
        )
    slowest, closing = map(float, run.stdout.split())
    assert slowest < 10, "no request waits for the exporter, which waits thirty seconds"
    assert closing < 10, "nor does the end"
