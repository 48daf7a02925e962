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

    def stage(self, name: str, began: float, seconds: float, trouble: str | None) -> None:
        """One stage of the present batch ended: when it began on the monotonic clock, why it gave nothing."""
        ...


class NoTracing:
    """Nobody traces."""

    def under_way(self) -> object:
        return None

    def batch(self, _requests: Sequence[object]) -> AbstractContextManager[object]:
        return _NOTHING

    def stage(self, _name: str, _began: float, _seconds: float, _trouble: str | None) -> None:
        return None
