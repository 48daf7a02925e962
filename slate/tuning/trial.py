"""What is known of a trial, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What became of a trial. An interrupted one is tried again and does not count."""

    FINISHED = "finished"
    PRUNED = "pruned"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    RUNNING = "running"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: its objective where it finished, else why it did not."""

    state: State
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """One trial. ``values`` are those of the searched keys, by ``section.key``.

    ``value`` is the objective, higher is better, None unless finished. ``epochs`` is the figure that
    pruning goes by, one an epoch, higher is better. ``baseline`` is the configuration as it was given.
    """

    number: int
    state: State
    values: Mapping[str, Any]
    value: float | None
    epochs: tuple[float, ...]
    seconds: float
    reason: str
    baseline: bool

    def plain(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self) | {"state": str(self.state), "epochs": list(self.epochs)}


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the highest objective, the first among equals."""
    finished = [trial for trial in trials if trial.state is State.FINISHED and trial.value is not None]
    return max(finished, key=lambda trial: (trial.value or 0.0, -trial.number)) if finished else None


def baseline_of(trials: Sequence[Trial]) -> Trial | None:
    """The last try of the configuration as it was given."""
    return next((trial for trial in reversed(trials) if trial.baseline), None)


def count(trials: Sequence[Trial], state: State) -> int:
    """How many trials are in a state."""
    return sum(trial.state is state for trial in trials)
