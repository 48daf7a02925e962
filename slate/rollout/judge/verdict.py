"""A look's outcome: what to do, and every number that led there."""

import json
import math
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class Decision(StrEnum):
    """What a controller does next. ``inconclusive`` ends a rollout as ``abort`` does, without blame."""

    HOLD = "hold"
    ADVANCE = "advance"
    PROMOTE = "promote"
    ABORT = "abort"
    INCONCLUSIVE = "inconclusive"


class Status(StrEnum):
    """``unsure`` is not known yet; ``missing`` should be known and is not."""

    PASSED = "passed"
    FAILED = "failed"
    UNSURE = "unsure"
    MISSING = "missing"


class Check(BaseModel):
    """One thing that was looked at. Figures that are not known, or no numbers, are None.

    ``low`` holds at all looks of this step with ``alpha_low``, ``high`` with ``alpha_high``; what they are
    compared with is ``threshold``. ``users`` are observations of stable and candidate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    status: Status
    reason: str
    stable: float | None = None
    candidate: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    alpha_low: float | None = None
    alpha_high: float | None = None
    users: tuple[int, int] | None = None

    @field_validator("stable", "candidate", "value", "low", "high", "threshold", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return None if value is None or not math.isfinite(value) else float(value)


class Allocation(BaseModel):
    """Which buckets, those below ``threshold``, meet the candidate from this look on, and why.

    ``better`` is the probability that the candidate is the better arm; None where nothing was drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: int
    reason: str
    better: float | None = None


class Verdict(BaseModel):
    """One look. ``blind`` says that it did not see all that it should have, for one of the reasons.

    ``allocation`` is there only where shares move within a step, and the rollout goes on. ``forced_by`` is
    who decided this by hand, whatever the checks said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: int = 1
    rollout_id: str
    step: str
    percent: float
    at: str
    decision: Decision
    blind: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    allocation: Allocation | None = None
    forced_by: str | None = None

    def to_json(self) -> str:
        """Its record in the store."""
        record = self.model_dump(mode="json")
        return json.dumps({"schema": record.pop("schema_"), **record}, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Verdict":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: it is none.
        """
        record = json.loads(text)
        return cls.model_validate({"schema_": record.pop("schema"), **record})
