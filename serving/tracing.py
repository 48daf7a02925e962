"""Traces by OpenTelemetry, where its standard variables name an endpoint; else its SDK is not even imported.

Spans go to a bounded queue that a thread of the SDK empties: an exporter that is down costs a request
nothing, and what does not fit is dropped.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

from slate.recommend.online.tracing import Tracing
from slate.recommend.request import Slate

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span(Protocol):
    """The span of one request. ``headers`` tell the client its trace."""

    headers: dict[str, str]

    def status(self, code: int) -> None:
        """The request was answered with this HTTP status."""
        ...


class Spans(Tracing, Protocol):
    """Spans of requests, beside those of batches and stages."""

    def request(self, name: str, model: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
        """Around one request, below the span that its headers name; the current one meanwhile."""
        ...

    def slate(self, slate: Slate) -> None:
        """A slate of the present request goes out."""
        ...

    def ids(self) -> Mapping[str, str]:
        """The present trace, for logs."""
        ...

    def close(self) -> None:
        """Export what waits, for a few seconds at most."""
        ...


def spans_from_environment(variant: str) -> Spans | None:
    """What traces, or None where nobody asked for it."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    from serving.spans import OtlpSpans

    return OtlpSpans(variant)
