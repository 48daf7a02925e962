"""The four stages as the engine calls them, from a thread of each stage's own."""

from collections.abc import Sequence
from typing import Any, Protocol

from slate.recommend.request import Request, Slate


class Funnel(Protocol):
    """Stages over one release; thread-safe, without state of requests. Each answers for all asks at once."""

    def prepare(self, requests: Sequence[Request]) -> Sequence[Any]:
        """Requests in model terms; users are looked up."""
        ...

    def retrieve(self, asks: Any) -> Any:
        """Candidates of every source, merged."""
        ...

    def filter(self, asks: Any, candidates: Any) -> Any:
        """Candidates that may be shown, and what was removed."""
        ...

    def score(self, asks: Any, candidates: Any) -> Any:
        """The ranker's scores."""
        ...

    def order(self, asks: Any, requests: Sequence[Request], scored: Any) -> Sequence[Slate]:
        """The slates."""
        ...
