"""What the stages hand to each other. All of it belongs to one request; nothing is shared or changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slate.recommend.arrays import Floats, Places, Rows
from slate.recommend.request import SlateItem
from slate.retrieval.query import Query

_NO_ROWS: Rows = np.empty(0, np.int32)


@dataclass(frozen=True)
class Ask:
    """A request in model terms: the query, what may not be shown, and what was not understood.

    ``seen``, ``excluded`` and ``blocked`` are sorted catalogue rows; ``ignored`` are names of items and
    events that the release does not know. ``seed`` decides what chance decides for this request. Without
    ``live`` what was taken down since the release does not count.
    """

    query: Query
    seen: Rows
    excluded: Rows
    ignored: tuple[str, ...]
    blocked: Rows = field(default_factory=lambda: _NO_ROWS)
    user_id: str | None = None
    seed: int = 0
    live: bool = True

    def attribute(self, name: str) -> object:
        """A raw value of the request: its context's, else its user's; None where neither has it."""
        value = self.query.context.get(name)
        return self.query.user.get(name) if value is None else value


@dataclass(frozen=True)
class Candidates:
    """What all sources bring for one ask, each item once.

    ``rows`` [n] are in the order in which sources name them, the first source's first; ``scores`` [n] the
    two-tower similarity of each, whichever source it came from; ``source`` [n] which of ``sources`` named
    it first. ``places`` holds for each source the positions of its own rows, best first, and ``wanted`` how
    many of them shall be left after filtering. ``dropped`` rows had a similarity that is not finite.
    """

    rows: Rows
    scores: Floats
    source: npt.NDArray[np.int8]
    places: tuple[Places, ...]
    sources: tuple[str, ...]
    wanted: tuple[int, ...]
    dropped: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each source named; one that several named counts for each."""
        return {name: len(own) for name, own in zip(self.sources, self.places, strict=True)}

    def named_by(self, place: int) -> list[str]:
        """The sources that named the row at a position."""
        return [name for name, own in zip(self.sources, self.places, strict=True) if place in own]


@dataclass(frozen=True)
class Kept:
    """Candidates after filtering: positions of those to be scored, and of those each filter removed.

    A candidate in neither was one more than its source was to bring: more are fetched than wanted, since
    nobody knows before how many the filters take.
    """

    candidates: Candidates
    places: Places
    removed: Mapping[str, Places]

    @property
    def rows(self) -> Rows:
        return self.candidates.rows[self.places]

    @property
    def scores(self) -> Floats:
        """Two-tower similarities, in the order of ``rows``."""
        return self.candidates.scores[self.places]

    @property
    def removed_counts(self) -> dict[str, int]:
        """How many candidates each filter removed."""
        return {name: len(places) for name, places in self.removed.items()}


@dataclass(frozen=True)
class Scored:
    """Scored candidates of one ask, best first; every score is finite.

    ``places`` are positions into the candidates, ``rows`` [n] their catalogue rows, ``scores`` [n] the
    ranker's, ``probabilities`` [n, events]. ``dropped`` candidates had a score that is not finite.
    """

    kept: Kept
    places: Places
    rows: Rows
    scores: Floats
    probabilities: Floats
    dropped: int = 0

    @property
    def retrieval_scores(self) -> Floats:
        return self.kept.candidates.scores[self.places]

    def sources(self, places: Places) -> list[str]:
        """For each of some positions of ``rows`` the source that named its candidate first."""
        candidates = self.kept.candidates
        return [candidates.sources[number] for number in candidates.source[self.places[places]].tolist()]


class Picked(NamedTuple):
    """What a slate shows, column by column, best first: without an object for each of many items."""

    item_ids: list[str]
    scores: list[float]
    sources: list[str]
    propensities: list[float]

    def items(self) -> tuple[SlateItem, ...]:
        """The same as an answer gives it."""
        positions = range(1, len(self.item_ids) + 1)
        return tuple(map(SlateItem, self.item_ids, self.scores, positions, self.sources, self.propensities))
