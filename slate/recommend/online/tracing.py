"""Where the time of a request goes, told to whoever traces; by default nobody, at no cost."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

_NOTHING: Final = nullcontext()


class Tracing(Protocol):
    """Called on the event loop; must neither block nor raise."""

    def under_way(self) -> object:
        """The request that the present task answers."""
        ...

    def batch(self, requests: Sequence[object]) -> AbstractContextManager[object]:
        """Around the work for requests that are answered together, as ``under_way`` named them."""
        ...

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Around one stage of a batch; what it raises passes through."""
        ...


class NoTracing:
    """Nobody traces."""

    def under_way(self) -> object:
        return None

    def batch(self, _requests: Sequence[object]) -> AbstractContextManager[object]:
        return _NOTHING

    def stage(self, _name: str) -> AbstractContextManager[object]:
        return _NOTHING
