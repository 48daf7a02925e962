"""What a server asks of the recommender behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from slate.errors import SlateError
from slate.recommend.request import Interaction, Request, Slate


class OverloadedError(SlateError):
    """More is asked than can be answered in time; ``retry_after`` says when to ask again, in seconds.

    ``draining`` is set while the server goes down: another replica should be asked at once.
    """

    def __init__(self, message: str, retry_after: float, *, draining: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.draining = draining


class NotReadyError(SlateError):
    """No release is loaded whose golden requests were answered right."""


@dataclass(frozen=True)
class Answer:
    """A slate as it goes out: who answered, and under which exposure, if it was shown to a user."""

    slate: Slate
    variant: str
    exposure_id: str | None = None


@dataclass(frozen=True)
class ScoreRequest:
    """Items to be scored for one user; see :class:`Request` for the other fields."""

    item_ids: Sequence[str]
    user_id: str | None = None
    history: Sequence[str | Interaction] | None = None
    context: Mapping[str, object] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True)
class Scores:
    """Scores and each event's probability by position of ``item_ids``; None where the item is unknown."""

    scores: Sequence[float | None]
    events: Mapping[str, Sequence[float | None]]
    release_id: str


class Engine(Protocol):
    """The recommender behind a server. Every method is called on the event loop and never blocks it."""

    @property
    def ready(self) -> bool:
        """Whether a release is loaded and answered its golden requests right."""
        ...

    @property
    def release_id(self) -> str | None: ...

    @property
    def variant(self) -> str:
        """``stable``, ``candidate`` or ``shadow``."""
        ...

    def refuses(self, requests: int) -> OverloadedError | None:
        """Why so many slates would be refused if they were asked for now; they count as refused then.

        Nothing is raised: under overload this is asked of nearly every request, before anything is read.
        """
        ...

    async def recommend(self, requests: Sequence[Request], deadline_ms: float | None = None) -> list[Answer]:
        """Answer every request with a labelled slate within the deadline, all from one release.

        Raises:
            OverloadedError: it was refused at once, before any work.
            NotReadyError: there is no release.
        """
        ...

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """Score the given items.

        Raises:
            OverloadedError: it was refused at once, or not done in time.
            NotReadyError: there is no release.
        """
        ...
