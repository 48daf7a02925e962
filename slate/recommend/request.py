"""What is asked of a recommender and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Interaction:
    """One thing a user did, as a request or a released user state names it."""

    item_id: str
    event: str
    at: datetime


@dataclass(frozen=True)
class Assignment:
    """What a gateway said of a request: the variant that its user is assigned to, in which step of which
    rollout, by which bucket, while ``allocation`` of users were to meet the candidate; and the request's id.
    """

    variant: str | None = None
    rollout_id: str | None = None
    step: str | None = None
    bucket: int | None = None
    allocation: float | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Request:
    """One request for a slate.

    ``history`` overrides the released one (anonymous users, live state); None means "look the user
    up". ``features`` likewise. A history may come in any order: it enters by time, then item, then event,
    as in training. A bare item id in it is the mildest target event, one minute after another, the last of
    them a minute before ``at``.

    ``at`` is the instant of the request, with its time zone. Histories should end before it, as they do in
    training; what clocks that disagree date later counts as happening now. A released history is the whole
    of what was known at the watermark, so a request dated before that is no replay: bring its history.

    ``exclude`` holds items that this answer shall not show, ``blocked`` those that the user never wants to
    see; they are counted apart. ``seed`` decides what chance decides; without one, user and instant do.
    Without ``live`` the release alone answers, as when it was made: golden requests are asked so.
    ``assignment`` changes no answer; it goes into the record of what was shown.
    """

    user_id: str | None = None
    history: Sequence[str | Interaction] | None = None
    features: Mapping[str, object] | None = None
    context: Mapping[str, object] = field(default_factory=dict)
    exclude: Sequence[str] = ()
    k: int | None = None
    at: datetime | None = None
    explain: bool = False
    blocked: Sequence[str] = ()
    seed: int | None = None
    live: bool = True
    assignment: Assignment | None = None


@dataclass(frozen=True)
class SlateItem:
    """One recommended item. ``position`` counts from 1; ``score`` is the ranker's, higher is better."""

    item_id: str
    score: float
    position: int
    source: str
    propensity: float = 1.0


@dataclass(frozen=True)
class Explanation:
    """How candidates passed each stage, by item id, and what of the request was not understood.

    ``sources`` are those that named a candidate and ``retrieved`` its two-tower similarity. Then it is in one
    of ``removed`` (by the first filter that took it), ``surplus`` (more than its source was to bring) and
    ``scored`` (the ranker's score and each event's probability). ``adjusted`` are the scores that the order
    went by; position and propensity are the slate's.
    """

    sources: Mapping[str, Sequence[str]]
    retrieved: Mapping[str, float]
    removed: Mapping[str, Sequence[str]]
    surplus: Sequence[str]
    scored: Mapping[str, Mapping[str, float]]
    adjusted: Mapping[str, float]
    ignored: Sequence[str]


@dataclass(frozen=True)
class Slate:
    """The answer: an ordered list of items, the rung that made it, and the release it came from."""

    user_id: str | None
    items: tuple[SlateItem, ...]
    rung: str
    release_id: str
    explanation: Explanation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without an explanation that was not asked for."""
        answer = asdict(self)
        if self.explanation is None:
            del answer["explanation"]
        return answer

    @property
    def item_ids(self) -> list[str]:
        return [item.item_id for item in self.items]
