"""Items that came since a release was made, as they are at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from slate.recommend.arrays import Floats


def _none() -> Floats:
    return np.empty((0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class Group:
    """New items in the order in which they came; the row of the i-th is ``first`` + i.

    ``features`` as they were sent, ``since`` int64 [n] microseconds since the epoch, ``embeddings`` float32
    [n, dim] of the candidate tower.
    """

    first: int
    ids: tuple[str, ...] = ()
    features: tuple[Mapping[str, object], ...] = ()
    since: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    embeddings: Floats = field(default_factory=_none)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Row by id."""
        return {item: self.first + place for place, item in enumerate(self.ids)}

    def column(self, name: str) -> list[object]:
        """One feature of all items, None where it was not sent."""
        return [each.get(name) for each in self.features]
