"""A shadow that hangs or crashes ends its rollout, and users notice nothing."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from slate.cli.simulate import own_stack
from slate.rollout.state import RolloutStatus, State
from slate.simulation.prepare import prepare
from slate.simulation.releases import Candidate
from slate.simulation.run import simulate
from slate.simulation.settings import read_settings
from slate.storage import ObjectStore, open_store


class Upset:
    """Does something to the shadow's process, whichever it is, once its first answers are in the log."""

    def __init__(self, store: ObjectStore, pid: Callable[[str], int | None], number: signal.Signals) -> None:
        self._store, self._pid, self._number = store, pid, number
        self.done: set[int] = set()

    def __call__(self, state: State) -> None:
        if state.status is not RolloutStatus.SHADOW or not self._store.list("shadow_exposures/"):
            return
        pid = self._pid("shadow")
        if pid is not None and pid not in self.done:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, self._number)
                self.done.add(pid)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["hung", "crashing"])
def test_a_shadow_in_trouble_is_seen_by_the_judge_alone(number: signal.Signals, tmp_path: Path) -> None:
    cache = Path(os.environ.get("SLATE_SIMULATION_HOME", str(tmp_path))) / ".cache/slate/simulation"
    prepared = prepare(
        read_settings(quick=True), Candidate.SAME, tmp_path / "run", seed=1, code="test", cache=cache
    )
    with own_stack(prepared, (), Console(stderr=True)) as stack:
        upset = Upset(open_store(prepared.store), stack.pid, number)
        try:
            found = simulate(prepared, stack, days=30, meddle=upset)
        finally:
            for pid in upset.done:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert found is not None
    assert upset.done
    assert (found.end.status, found.end.because) == (RolloutStatus.ABORTED, ("shadow_failed",))
    assert [move.threshold for _, move in found.moves] == [0, 0], "no user met it"
    assert found.users.asked > 100
    assert found.users.failed == 0
    print(f"p99 {found.users.p99_ms:.1f} ms of {found.users.asked} requests")
