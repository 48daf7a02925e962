"""The result of an evaluation and its files: JSON for the numbers, Parquet for users and items.

``evaluation.json`` is strict JSON, an :class:`EvaluationRecord`. ``per_user.parquet`` holds one row a
slice, ranker and user, with ``targets`` and one column a metric. ``exposure.parquet`` holds one row an
item: its training count, how often it was a target, and in how many top-k lists each ranker shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slate import columns
from slate.config import describe
from slate.errors import DataError
from slate.evaluation.intervals import Difference, Estimate, Finite, GroupDifference
from slate.evaluation.slices import ALL

#: Rankers an evaluation may hold. The funnel is the challenger as it would serve.
FUNNEL: Final = "funnel"
RETRIEVAL: Final = "retrieval"
CHAMPION: Final = "champion"

SLICE: Final = "slice"
RANKER: Final = "ranker"
TARGETS: Final = "targets"
TARGET_COUNT: Final = "target_count"
SHOWN: Final = "shown_"

Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TargetCounts(_Record):
    """How many targets there were and what became of them.

    ``first`` and ``last`` are the instants of the evaluated ones, RFC 3339.
    """

    found: Count
    found_users: Count
    repeats_excluded: Count
    sampled_out: Count
    evaluated: Count
    users: Count
    first: str
    last: str


class RankerRecord(_Record):
    """One ranker over all targets. Exposure metrics are of the top-k lists; ``short_lists`` had fewer."""

    metrics: dict[str, Estimate]
    coverage: Finite
    novelty: Finite
    concentration: Finite
    popularity: Finite
    short_lists: Count
    seconds: Finite


class SliceRecord(_Record):
    """One slice: metrics by ranker and name, and the challenger against each other ranker.

    Both maps are empty where the slice has no target. ``differences`` are of the decision metric.
    """

    name: str
    attribute: str
    label: str
    users: Count
    targets: Count
    metrics: dict[str, dict[str, Estimate]]
    differences: dict[str, Difference]


class UserGroup(_Record):
    """Users of one value of a sensitive attribute: what the challenger is worth to them and shows them.

    ``metrics`` are means over the group's users, ``differences`` the same metrics minus those of the
    ``others`` (empty without any). ``coverage`` is the share of the catalogue that the group's lists hold,
    which grows with the group. ``novelty`` (bits), ``popularity`` (training count) and ``head`` (the share of
    the most popular items) are means over the users who were shown anything, None without one.
    """

    name: str
    attribute: str
    label: str
    users: Count
    others: Count
    targets: Count
    metrics: dict[str, Estimate]
    differences: dict[str, GroupDifference]
    coverage: Finite
    novelty: Estimate | None
    popularity: Estimate | None
    head: Estimate | None


class ItemGroup(_Record):
    """Items of one value of a sensitive attribute, one of ``groups``: their exposure against their merit.

    ``exposure`` compares the group's share of each user's exposure (``challenger``) with its share of what
    the user went on to want (``reference``). ``users`` wanted something of the group, ``catalogue`` is its
    share of the items.
    """

    name: str
    attribute: str
    label: str
    groups: Count
    items: Count
    catalogue: Finite
    users: Count
    targets: Count
    exposure: Difference


class Fairness(_Record):
    """How the challenger treats groups of users and of items; ``head_items`` is the size of the head."""

    head_items: Count
    users: tuple[UserGroup, ...]
    items: tuple[ItemGroup, ...]


class EvaluationRecord(_Record):
    """Everything measured, as plain numbers. ``metric`` is the one decisions are made on.

    ``fairness`` is None in evaluations of before it was measured.
    """

    schema_version: Literal[1] = 1
    protocol: str
    k: Annotated[int, Field(ge=1)]
    ks: tuple[int, ...]
    metric: str
    challenger: str
    bootstrap: int
    seed: int
    items: Count
    targets: TargetCounts
    rankers: dict[str, RankerRecord]
    skipped: dict[str, str]
    slices: tuple[SliceRecord, ...]
    fairness: Fairness | None = None

    @property
    def overall(self) -> SliceRecord:
        """The slice of all targets."""
        return next(s for s in self.slices if s.name == ALL)

    def to_json(self) -> str:
        """Strict JSON: finite numbers only, keys in a fixed order."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> "EvaluationRecord":
        """Parse what :meth:`to_json` wrote.

        Raises:
            DataError: not such JSON.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise DataError(f"evaluation: {describe(error)}; run the evaluate step again") from error


@dataclass(frozen=True)
class Evaluation:
    """A record with its two tables."""

    record: EvaluationRecord
    per_user: pa.Table
    exposure: pa.Table

    def summary(self) -> Mapping[str, Mapping[str, float]]:
        """Ranker to metric to plain value, for manifests, loggers and the console."""
        return {
            name: {metric: estimate.value for metric, estimate in ranker.metrics.items()}
            | {f: float(getattr(ranker, f)) for f in ("coverage", "novelty", "concentration", "popularity")}
            for name, ranker in self.record.rankers.items()
        }

    def save(self, directory: Path) -> None:
        """Write the three files into an existing folder."""
        pq.write_table(self.per_user, directory / columns.PER_USER_FILE)
        pq.write_table(self.exposure, directory / columns.EXPOSURE_FILE)
        (directory / columns.EVALUATION_FILE).write_text(self.record.to_json(), encoding="utf-8")

    @classmethod
    def open(cls, directory: Path) -> "Evaluation":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: a file is missing or is not what it should be.
        """
        for name in (columns.EVALUATION_FILE, columns.PER_USER_FILE, columns.EXPOSURE_FILE):
            if not (directory / name).is_file():
                raise DataError(f"evaluation {directory}: {name} is missing; run the evaluate step again")
        text = (directory / columns.EVALUATION_FILE).read_text(encoding="utf-8")
        per_user = pq.read_table(directory / columns.PER_USER_FILE)
        exposure = pq.read_table(directory / columns.EXPOSURE_FILE)
        return cls(EvaluationRecord.from_json(text), per_user, exposure)
