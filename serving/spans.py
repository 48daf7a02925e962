"""One span a request, one a batch, one a stage, exported over OTLP as the standard variables say.

A request that is answered alone has its batch and stages below it. Requests that are answered together
share a batch, whose span is a trace of its own, linked with each of them in both directions.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from slate.recommend.request import Slate

_log = logging.getLogger(__name__)

RUNG: Final = "slate.rung"
RELEASE: Final = "slate.release_id"
VARIANT: Final = "slate.variant"
MODEL: Final = "slate.model"
_NAME: Final = "slate-serving"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_FLUSH_SECONDS: Final = 3.0
_W3C: Final = TraceContextTextMapPropagator()
#: The batch whose stages the present task runs.
_BATCH: ContextVar[trace.Span | None] = ContextVar("batch", default=None)


class RequestSpan:
    """See :class:`serving.tracing.Span`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.headers: dict[str, str] = {}
        _W3C.inject(self.headers, trace.set_span_in_context(span))

    def status(self, code: int) -> None:
        self._span.set_attribute("http.response.status_code", code)
        if code >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


class OtlpSpans:
    """See :class:`serving.tracing.Spans`."""

    def __init__(self, variant: str) -> None:
        for name in _PROTOCOLS:
            if os.environ.get(name, "http/protobuf") != "http/protobuf":
                _log.warning("%s=%s is not spoken; traces go by http/protobuf", name, os.environ[name])
        self._variant = variant
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_NAME)

    @contextmanager
    def request(self, name: str, model: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
        attributes = {MODEL: model, VARIANT: self._variant}
        with self._tracer.start_as_current_span(
            name, _W3C.extract(headers, Context()), SpanKind.SERVER, attributes, record_exception=False
        ) as span:
            yield RequestSpan(span)

    def slate(self, slate: Slate) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            rungs = {*_said(span), slate.rung}
            span.set_attributes({RELEASE: slate.release_id, RUNG: ",".join(sorted(rungs))})

    def ids(self) -> Mapping[str, str]:
        context = trace.get_current_span().get_span_context()
        return {"trace_id": trace.format_trace_id(context.trace_id)} if context.is_valid else {}

    def under_way(self) -> object:
        return trace.get_current_span()

    @contextmanager
    def batch(self, requests: Sequence[object]) -> Iterator[None]:
        asked = [each for each in requests if isinstance(each, trace.Span) and each.is_recording()]
        if not asked:
            yield
            return
        alone = len(asked) == 1 == len(requests)
        batch = self._tracer.start_span(
            "batch",
            trace.set_span_in_context(asked[0], Context()) if alone else Context(),
            attributes={"slate.batch.size": len(requests)},
            links=None if alone else [Link(each.get_span_context()) for each in asked],
        )
        if not alone:
            for each in asked:
                each.add_link(batch.get_span_context())
        token = _BATCH.set(batch)
        try:
            yield
        finally:
            _BATCH.reset(token)
            batch.end()

    def stage(self, name: str, began: float, seconds: float, trouble: str | None) -> None:
        batch = _BATCH.get()
        if batch is None:
            return
        start = time.time_ns() - int((time.monotonic() - began) * 1e9)
        span = self._tracer.start_span(
            f"stage {name}", trace.set_span_in_context(batch, Context()), start_time=start
        )
        if trouble is not None:
            span.set_attribute("slate.trouble", trouble)
            span.set_status(Status(StatusCode.ERROR, f"{name}: {trouble}"))
        span.end(start + int(seconds * 1e9))

    def close(self) -> None:
        ending = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        ending.start()
        ending.join(_FLUSH_SECONDS)


def _said(span: trace.Span) -> Sequence[str]:
    """The rungs that a span names so far."""
    attributes = getattr(span, "attributes", None) or {}
    said = str(attributes.get(RUNG, ""))
    return said.split(",") if said else ()


def _resource() -> Resource:
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create({} if named else {"service.name": _NAME})
