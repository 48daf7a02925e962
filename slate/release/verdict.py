"""The gate's written answer, as it stands in a release's manifest."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slate.config import describe
from slate.errors import GateError

Finite = Annotated[float, Field(allow_inf_nan=False)]
Status = Literal["passed", "refused", "unchanged"]


class Check(BaseModel):
    """One rule: what was measured, against what, and how it went, in plain words.

    ``interval`` holds the two one-sided 95% bounds of ``value`` where it is an estimate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: Finite | None = None
    interval: tuple[Finite, Finite] | None = None
    threshold: Finite | None = None
    passed: bool
    detail: str


class Verdict(BaseModel):
    """``passed`` only where every check passed; ``unchanged`` is the champion's own content.

    Only a ``passed`` release may stand on a channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that refused."""
        return tuple(check for check in self.checks if not check.passed)

    def to_json(self) -> str:
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """Parse what :meth:`to_json` wrote.

        Raises:
            GateError: not a verdict, or a status that its checks contradict.
        """
        try:
            verdict = cls.model_validate_json(text)
        except ValidationError as error:
            raise GateError(f"verdict: {describe(error)}; run the gate again") from error
        sound = bool(verdict.checks) and (verdict.status == "refused") == bool(verdict.failed)
        if not sound:
            raise GateError(
                f"verdict: status {verdict.status!r} with {len(verdict.failed)} of {len(verdict.checks)} "
                "checks failed contradict each other; run the gate again"
            )
        return verdict
