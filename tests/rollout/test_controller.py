"""The controller on a real store, with a real log and the real judge; only the gateway is in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from slate.errors import StorageError
from slate.hashing import bucket
from slate.release.channels import read_channel
from slate.release.rollouts import active_rollouts, read_pointer
from slate.rollout.by_hand import abort, force
from slate.rollout.controller import Controller
from slate.rollout.gather import Gatherer
from slate.rollout.judge.evidence import Requests
from slate.rollout.judge.verdict import Decision, Verdict
from slate.rollout.lease import Lease
from slate.rollout.start import start
from slate.rollout.state import State, read_state
from slate.rollout.traffic.driver import Split
from slate.rollout.verdicts import last_verdict, read_verdict, read_verdicts, record
from tests.release.conftest import make_release
from tests.rollout.bench import EVENTS, NOW, MemoryGateway, World, block, config, exposure, outcome, world

__all__ = ["make_release"]

USERS = [f"u{number}" for number in range(1000)]


@dataclass
class Bench:
    """One rollout with its controller. Time passes only when told, real seconds as well."""

    world: World
    gateway: MemoryGateway = field(default_factory=MemoryGateway)
    said: list[str] = field(default_factory=list)
    promotions: int = 0
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gateway.releases = {
            "stable": frozenset({self.world.old}),
            "candidate": frozenset({self.world.new}),
            "shadow": frozenset({self.world.new}),
        }
        self.rollout_id = start(self.world.store, self.world.new, self.config, "ann", self.world.clock)
        self.controller = self.another("one")

    @property
    def config(self) -> Any:
        return config(**self.changes)

    def another(self, name: str) -> Controller:
        """One more controller, as a process that starts has it."""
        gatherer = Gatherer(self.world.store, self.gateway, EVENTS)
        lease = Lease(self.world.store, name, 5.0, self.seconds)
        return Controller(
            gatherer, lease, self.config, self.world.clock, self.promoted, self.said.append, self.seconds
        )

    def seconds(self) -> float:
        return (self.world.clock.now() - NOW).total_seconds()

    def promoted(self) -> None:
        self.promotions += 1

    @property
    def state(self) -> State:
        return read_state(self.world.store, self.rollout_id).state

    @property
    def split(self) -> Split:
        return self.state.split(100.0)

    def tick(self, seconds: float = 1.0) -> State:
        self.world.pass_(seconds)
        self.controller.tick()
        return self.state

    def shadowed(self, count: int = 30, items: tuple[str, ...] = ("a", "b")) -> None:
        """Requests that stable answered, and their copies."""
        at = self.world.clock.now()
        rows = [exposure(f"s{number}", at, self.split, number) for number in range(count)]
        copies = [exposure(f"s{number}", at, self.split, number, items) for number in range(count)]
        self.world.write("exposures", rows)
        self.world.write("shadow_exposures", copies)

    def visited(self, likes: Callable[[str, bool], bool]) -> None:
        """Everybody is shown a slate, and likes an item of it or not, by user and variant."""
        split, at = self.split, self.world.clock.now()
        on = {user: bucket(split.rollout_id, user) < split.threshold for user in USERS}
        self.world.write("exposures", [exposure(user, at, split, 0) for user in USERS])
        liked = [user for user in USERS if likes(user, on[user])]
        self.world.write("outcomes", [outcome(user, at, split, 0) for user in liked])

    def counted(self, seconds: int, **candidate: Any) -> None:
        """What the gateway counts in the next seconds, in blocks of five."""
        now = self.world.clock.now()
        self.gateway.kept += [
            block(now + timedelta(seconds=place), **candidate) for place in range(0, seconds, 5)
        ]

    def to_canary(self) -> None:
        self.tick()
        self.shadowed()
        assert self.tick(100).status == "canary"

    def a_step(self, likes: Callable[[str, bool], bool]) -> State:
        self.visited(likes)
        self.counted(100)
        return self.tick(100)


@pytest.fixture
def bench(tmp_path: Path, make_release: Any) -> Bench:
    return Bench(world(tmp_path, make_release))


def some(user: str, on: bool) -> bool:
    return int(user[1:]) % 5 == 0


def more(user: str, on: bool) -> bool:
    return on or some(user, on)


def fewer(user: str, on: bool) -> bool:
    return not on and int(user[1:]) % 5 != 0


def test_a_better_release_climbs_and_is_promoted(bench: Bench) -> None:
    bench.to_canary()
    assert bench.gateway.told == Split(bench.rollout_id, "5", 500, 0.0)
    assert bench.a_step(some).step == "50"
    assert bench.gateway.told == Split(bench.rollout_id, "50", 5000, 0.0)
    state = bench.a_step(more)
    assert (state.status, state.threshold) == ("promoting", 5000)
    for _ in range(3):
        assert bench.tick().status == "promoting"
    stable = read_channel(bench.world.store, "stable")
    assert stable is not None
    assert stable.release_id == bench.world.new
    assert bench.gateway.told.threshold == 5000
    bench.gateway.releases["stable"] = frozenset({bench.world.old, bench.world.new})
    assert bench.tick().status == "promoting"
    bench.gateway.releases["stable"] = frozenset({bench.world.new})
    assert bench.tick().status == "promoted"
    assert bench.gateway.told == Split()
    assert bench.promotions == 0
    bench.tick()
    assert bench.promotions == 1
    pointer = read_pointer(bench.world.store)
    assert pointer is not None
    assert pointer.ended
    bench.tick()
    assert bench.promotions == 1
    verdicts = read_verdicts(bench.world.store, bench.rollout_id)
    assert [(each.verdict.decision) for each in verdicts if each.number in used(bench.state)] == [
        "advance", "advance", "promote",
    ]  # fmt: skip


def used(state: State) -> set[int]:
    return {move.verdict for move in state.history if move.verdict is not None}


def test_a_worse_release_is_aborted_and_stable_stays(bench: Bench) -> None:
    bench.to_canary()
    assert bench.a_step(some).step == "50"
    state = bench.a_step(fewer)
    assert (state.status, state.threshold, state.step) == ("aborted", 0, "50")
    assert bench.gateway.told == Split()
    assert "engagement" in state.history[-1].reason
    bench.tick()
    assert active_rollouts(bench.world.store) == []
    stable = read_channel(bench.world.store, "stable")
    assert stable is not None
    assert stable.release_id == bench.world.old


def test_a_candidate_that_fails_goes_between_two_looks(bench: Bench) -> None:
    bench.to_canary()
    bench.visited(some)
    bench.counted(10)
    bench.tick(6)
    looked = last_verdict(bench.world.store, bench.rollout_id)
    bench.world.pass_(4)
    bench.counted(5, failed=80)
    state = bench.tick(0.5)
    last = last_verdict(bench.world.store, bench.rollout_id)
    assert looked is not None
    assert last is not None
    assert (last.number, last.verdict.decision) == (looked.number + 1, "abort")
    assert [check.name for check in last.verdict.checks] == ["errors"]
    assert (state.status, bench.gateway.told) == ("aborted", Split())


def test_nobody_meets_a_candidate_that_does_not_answer_with_the_release(bench: Bench) -> None:
    bench.gateway.releases["candidate"] = frozenset()
    bench.tick()
    bench.shadowed()
    for _ in range(3):
        assert bench.tick(100).status == "shadow"
    assert bench.gateway.told == Split(bench.rollout_id, "shadow", 0, 100.0)
    assert sum("waits for the candidate" in line for line in bench.said) >= 1
    bench.gateway.releases["candidate"] = frozenset({bench.world.old, bench.world.new})
    assert bench.tick().status == "shadow"
    bench.gateway.releases["candidate"] = frozenset({bench.world.new})
    assert bench.tick().status == "canary"


def test_requests_are_copied_once_the_shadow_has_answered_and_whatever_becomes_of_it_then(
    bench: Bench,
) -> None:
    ready, copied = bench.gateway.releases.pop("shadow"), Split(bench.rollout_id, "shadow", 0, 100.0)
    bench.tick()
    assert bench.gateway.told == replace(copied, mirror_percent=0.0)
    bench.gateway.releases["shadow"] = frozenset({bench.world.old})
    bench.tick()
    assert bench.gateway.told == replace(copied, mirror_percent=0.0)
    bench.gateway.releases["shadow"] = ready
    bench.tick()
    assert bench.gateway.told == copied
    del bench.gateway.releases["shadow"]
    bench.tick()
    bench.controller = bench.another("two")
    bench.world.pass_(100)
    bench.tick()
    assert bench.gateway.told == copied, "what it does not answer now counts as failed"


def test_a_shadow_that_fails_its_copies_is_aborted(bench: Bench) -> None:
    bench.tick()
    bench.shadowed()
    bench.gateway.copied = Requests(100, 5, 30.0)
    assert bench.tick(100).status == "aborted"
    assert "shadow_failed" in bench.state.history[-1].reason


def test_without_evidence_it_holds_and_then_gives_up(bench: Bench) -> None:
    bench.to_canary()
    for _ in range(6):
        assert bench.tick(60).status == "canary"
    last = last_verdict(bench.world.store, bench.rollout_id)
    assert last is not None
    assert last.verdict.blind
    # Another controller knows since when from the verdicts.
    bench.controller = bench.another("two")
    assert bench.tick(3000).status == "canary"
    assert bench.tick(600).status == "aborted"
    assert "nothing can be said since" in bench.state.history[-1].reason


def killed(name: str) -> Callable[..., Any]:
    def die(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt(name)

    return die


@pytest.mark.parametrize("instant", ["swap", "apply"])
def test_killed_after_the_verdict_the_next_one_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    bench.tick()
    bench.shadowed()
    with monkeypatch.context() as patch:
        if instant == "swap":
            patch.setattr("slate.rollout.controller.swap", killed(instant))
        else:
            patch.setattr(bench.gateway, "apply", killed(instant))
        with pytest.raises(KeyboardInterrupt):
            bench.tick(100)
    last = last_verdict(bench.world.store, bench.rollout_id)
    assert last is not None
    assert last.verdict.decision is Decision.ADVANCE
    assert bench.gateway.told == Split(bench.rollout_id, "shadow", 0, 100.0)
    bench.controller = bench.another("two")
    bench.tick(0)
    bench.tick(5)
    assert bench.state.history[1].verdict == last.number
    assert bench.gateway.told == Split(bench.rollout_id, "5", 500, 0.0)
    acted = [move for move in bench.state.history if move.verdict == last.number]
    assert len(acted) == 1


def test_a_rise_that_was_left_lying_too_long_is_judged_again(bench: Bench) -> None:
    bench.to_canary()
    at = bench.world.clock.now().isoformat()
    number = bench.state.last_verdict + 1
    verdict = Verdict(
        rollout_id=bench.rollout_id, step="5", percent=5, at=at, decision=Decision.ADVANCE, blind=False,
        reasons=("x",),
    )  # fmt: skip
    record(bench.world.store, verdict, number)
    assert bench.tick(301).step == "5"
    last = last_verdict(bench.world.store, bench.rollout_id)
    assert last is not None
    assert (last.number, last.verdict.decision) == (number + 1, "hold")


def test_a_controller_without_the_lease_does_nothing(bench: Bench) -> None:
    bench.tick()
    bench.shadowed()
    other = bench.another("two")
    bench.world.pass_(4)
    assert not other.tick()
    assert last_verdict(bench.world.store, bench.rollout_id) is not None
    told, count = len(bench.gateway.moves), len(read_verdicts(bench.world.store, bench.rollout_id))
    assert not other.tick()
    assert (len(bench.gateway.moves), len(read_verdicts(bench.world.store, bench.rollout_id))) == (
        told,
        count,
    )


def test_a_gateway_that_is_away_is_told_later_and_said_once(bench: Bench) -> None:
    bench.gateway.broken = True
    for _ in range(4):
        assert bench.tick().status == "shadow"
    assert bench.said.count("the gateway is away; wait for it") == 1
    bench.gateway.broken = False
    bench.tick()
    assert bench.gateway.told == Split(bench.rollout_id, "shadow", 0, 100.0)
    # Somebody moved it by hand: it goes back to what the state says.
    bench.gateway.told = Split(bench.rollout_id, "5", 500)
    bench.tick()
    assert bench.gateway.told.threshold == 0


def test_a_fall_that_cannot_be_written_down_is_made_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.to_canary()
    bench.counted(5, failed=80)
    with monkeypatch.context() as patch:
        for name in ("write_new", "compare_and_swap"):
            original = getattr(bench.world.store, name)

            def full(key: str, *rest: Any, original: Any = original) -> Any:
                if "lease" in key:
                    return original(key, *rest)
                raise StorageError("no space left; make some")

            patch.setattr(bench.world.store, name, full)
        for _ in range(3):
            bench.tick(6)
        assert bench.state.status == "canary"
        assert bench.gateway.told.threshold == 0
        assert [move.threshold for move in bench.gateway.moves] == [0, 500, 0]
    assert bench.tick().status == "aborted"
    assert bench.gateway.told == Split()


def test_an_abort_while_it_is_promoted_takes_stable_back(bench: Bench) -> None:
    bench.to_canary()
    force(bench.world.store, bench.rollout_id, Decision.PROMOTE, "ann", "now", bench.world.clock)
    assert bench.tick().status == "promoting"
    bench.tick()
    stable = read_channel(bench.world.store, "stable")
    assert stable is not None
    assert stable.release_id == bench.world.new
    abort(bench.world.store, bench.rollout_id, "ann", "smoke", bench.world.clock)
    bench.tick()
    stable = read_channel(bench.world.store, "stable")
    assert stable is not None
    assert (stable.release_id, stable.history[-1].rollback) == (bench.world.old, True)
    assert bench.gateway.told == Split()


def test_a_promotion_fails_where_stable_was_moved_by_others(bench: Bench, make_release: Any) -> None:
    from slate.release.channels import move_channel
    from slate.release.publish import publish

    bench.to_canary()
    folder, manifest = make_release()
    publish(bench.world.store, folder)
    move_channel(bench.world.store, "stable", manifest.release_id, reason="by hand", by="bob")
    bench.tick(6)
    last = last_verdict(bench.world.store, bench.rollout_id)
    assert last is not None
    assert last.verdict.blind
    assert any("channel stable was moved" in reason for reason in last.verdict.reasons)
    force(bench.world.store, bench.rollout_id, Decision.PROMOTE, "ann", "now", bench.world.clock)
    bench.tick(0.1)
    assert bench.tick().status == "aborted"
    stable = read_channel(bench.world.store, "stable")
    assert stable is not None
    assert stable.release_id == manifest.release_id


def test_a_person_s_step_waits_for_the_candidate(bench: Bench) -> None:
    bench.to_canary()
    bench.gateway.releases["candidate"] = frozenset()
    recorded = force(
        bench.world.store, bench.rollout_id, Decision.ADVANCE, "ann", "in a hurry", bench.world.clock
    )
    for _ in range(3):
        assert bench.tick(6).step == "5"
    assert last_verdict(bench.world.store, bench.rollout_id) == recorded
    bench.gateway.releases["candidate"] = frozenset({bench.world.new})
    state = bench.tick()
    assert (state.step, state.by, state.history[-1].verdict) == ("50", "ann", recorded.number)


def test_shares_that_move_are_told_to_the_gateway(tmp_path: Path, make_release: Any) -> None:
    changes = {"allocation": "thompson", "thompson": {"minimum": 0.1, "every_s": 60}}
    bench = Bench(world(tmp_path, make_release), changes=changes)
    bench.to_canary()
    assert bench.gateway.told == Split(bench.rollout_id, "thompson", 1000, 0.0)
    state = bench.a_step(lambda user, on: int(user[1:]) % (4 if on else 5) == 0)
    move = state.history[-1]
    assert (move.status, move.step) == ("canary", "thompson")
    assert move.threshold > 1000
    verdict = read_verdict(bench.world.store, bench.rollout_id, move.verdict or 0)
    assert verdict.decision is Decision.HOLD
    assert verdict.allocation is not None
    assert verdict.allocation.threshold == move.threshold
    assert bench.gateway.told == Split(bench.rollout_id, "thompson", move.threshold, 0.0)
    assert state.judged().moved == bench.world.clock.now()


def test_outside_a_rollout_everybody_meets_stable(tmp_path: Path, make_release: Any) -> None:
    bench = Bench(world(tmp_path, make_release))
    abort(bench.world.store, bench.rollout_id, "ann", "smoke", bench.world.clock)
    bench.gateway.told = Split("r-0", "5", 500)
    bench.tick()
    assert bench.gateway.told == Split()
    bench.gateway.told = Split("r-0", "5", 500)
    bench.tick()
    assert bench.gateway.told == Split()
