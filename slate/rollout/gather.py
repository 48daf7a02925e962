"""All that one look needs: the log, the gateway's figures, and in step shadow the likeness of answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from slate.config import Event, RolloutConfig
from slate.errors import SlateError
from slate.feedback.kept_days import KeptDays
from slate.release.channels import STABLE, read_channel
from slate.rollout.judge.evidence import SHADOW_STEP, Block, Evidence, Requests
from slate.rollout.judge.observations import read_evidence
from slate.rollout.likeness import read_likeness
from slate.rollout.state import State
from slate.rollout.traffic.driver import Driver
from slate.storage import ObjectStore

T = TypeVar("T")

_NONE = Requests(0, 0, None)


@dataclass
class Gatherer:
    """Where evidence comes from. What cannot be had is a problem in it: the rest still counts, so a candidate
    that fails is seen while the log is away.

    ``events`` are the data set's, by name.
    """

    store: ObjectStore
    driver: Driver
    events: Mapping[str, Event]
    days: KeptDays = field(init=False)

    def __post_init__(self) -> None:
        self.days = KeptDays(self.store)

    def gather(self, state: State, config: RolloutConfig, now: datetime) -> Evidence:
        """The evidence of the present step."""
        step, problems = state.judged(), list(self._moved(state))

        def attempt(what: Callable[[], T]) -> T | None:
            try:
                return what()
            except SlateError as error:
                problems.append(str(error))
                return None

        if step.name == SHADOW_STEP:
            copied = attempt(lambda: self.driver.shadow(step, now)) or _NONE
            shadow = attempt(lambda: read_likeness(self.days, step, config.shadow, now, copied))
            return Evidence(shadow=shadow, problems=tuple(problems))
        blocks: Sequence[Block] | None = attempt(lambda: self.driver.blocks(step, now))
        found = attempt(lambda: read_evidence(self.store, self.events, step, config, now, self.days))
        found = found or Evidence()
        return replace(found, blocks=blocks, problems=(*found.problems, *problems))

    def _moved(self, state: State) -> tuple[str, ...]:
        """What the candidate is compared with must stay what it was."""
        try:
            channel = read_channel(self.store, STABLE)
        except SlateError as error:
            return (str(error),)
        stands = channel.release_id if channel else "nothing"
        if stands == state.stable_release_id:
            return ()
        return (f"channel stable was moved from {state.stable_release_id} to {stands} during the rollout",)
