"""What a local run reports while it runs, and hands over when it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from slate.errors import SlateError

Output = Path | str | float | int | bool | list[Any] | dict[str, Any] | None


class Outcome(StrEnum):
    """How far a step is, or how it ended."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class StepEvent:
    """Something happened to a step: its outcome changed, or it said a line."""

    step: str
    outcome: Outcome
    seconds: float = 0.0
    attempt: int = 1
    line: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why a step failed: the error's class and message as the step raised it.

    ``certain`` errors come again at every attempt.
    """

    step: str
    error: str
    message: str
    traceback: str
    log: Path
    exit_code: int
    certain: bool

    def to_dict(self) -> dict[str, str]:
        """What programs are told of it."""
        return {"step": self.step, "error": self.error, "message": self.message, "log": str(self.log)}


@dataclass(frozen=True)
class StepResult:
    """One step of a finished run.

    ``outputs`` maps output names to artefact paths and parameter values; ``Output`` is the value that
    a step returned. ``metrics`` are what the step measured. ``log`` is there when the step ran.
    """

    step: str
    outcome: Outcome
    seconds: float = 0.0
    attempts: int = 0
    outputs: Mapping[str, Output] = field(default_factory=lambda: MappingProxyType({}))
    metrics: Mapping[str, Output] = field(default_factory=lambda: MappingProxyType({}))
    log: Path | None = None


@dataclass(frozen=True)
class RunResult:
    """A run that has ended, well or not.

    ``folder`` holds ``logs/<step>.log``, ``kfp.log`` and, when a step wrote one, ``report.html``.
    """

    run_id: str
    folder: Path
    seconds: float
    steps: tuple[StepResult, ...]
    failure: Failure | None = None
    report: Path | None = None

    @property
    def status(self) -> str:
        """``succeeded`` or ``failed``."""
        return "failed" if self.failure else "succeeded"

    def step(self, name: str) -> StepResult:
        """The result of one step.

        Raises:
            KeyError: the pipeline has no such step.
        """
        for result in self.steps:
            if result.step == name:
                return result
        raise KeyError(name)

    def artefact(self, step: str, output: str) -> Path | None:
        """Where a step's artefact lies; ``None`` when the step did not finish."""
        value = self.step(step).outputs.get(output)
        return value if isinstance(value, Path) else None

    @property
    def verdict_status(self) -> str | None:
        """``passed``, ``refused`` or ``unchanged``; ``None`` when the gate was not reached."""
        return self._returned("gate")

    @property
    def release_id(self) -> str | None:
        """The release that this run pushed, if it did."""
        return self._returned("push_release")

    @property
    def rollout_id(self) -> str | None:
        """The rollout that this run started, if it did."""
        return self._returned("start_rollout") or None

    def _returned(self, step: str) -> str | None:
        value = self.step(step).outputs.get("Output")
        return value if isinstance(value, str) else None


class StepError(SlateError):
    """A step of a local run failed. Its message is the step's own."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.step}: {failure.message}\n  log: {failure.log}")
        self.failure = failure
        self.exit_code = failure.exit_code


class StepTraceback(Exception):  # noqa: N818 - a cause that carries text, never raised by itself
    """The traceback of the step's own process, shown as the cause of a :class:`StepError`."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"
