from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.clock import isoformat
from slate.errors import RolloutError
from slate.rollout.judge.verdict import Allocation, Decision, Verdict
from slate.rollout.state import ENDS, Move, RolloutStatus, State
from slate.rollout.transition import aborted, by_verdict, promoted, transition

AT = isoformat(datetime(2026, 12, 1, tzinfo=UTC))
STEPS = (1.0, 5.0, 50.0)


def fresh(allocation: str = "steps") -> State:
    move = Move(status=RolloutStatus.SHADOW, step="shadow", threshold=0, at=AT, by="ann", reason="started")
    return State(
        rollout_id="r-1",
        release_id="new",
        stable_release_id="old",
        salt="r-1",
        allocation=allocation,
        steps=STEPS if allocation == "steps" else (5.0,),
        status=move.status,
        step=move.step,
        threshold=0,
        sequence=1,
        at=AT,
        by="ann",
        history=(move,),
    )


def says(decision: str, step: str, allocated: int | None = None, forced_by: str | None = None) -> Verdict:
    return Verdict(
        rollout_id="r-1",
        step=step,
        percent=0,
        at=AT,
        decision=Decision(decision),
        blind=False,
        reasons=("so",),
        allocation=None if allocated is None else Allocation(threshold=allocated, reason="drawn"),
        forced_by=forced_by,
    )


def gone(*decisions: str, allocation: str = "steps") -> State:
    state = fresh(allocation)
    for number, decision in enumerate(decisions, start=1):
        verdict = says(decision, state.step)
        move = by_verdict(state, verdict, number, AT)
        assert move is not None
        state = transition(state, move, verdict)
    return state


def test_a_rollout_climbs_step_by_step_and_is_promoted() -> None:
    state = gone("advance", "advance", "advance", "promote")
    assert [(move.step, move.threshold, move.verdict) for move in state.history] == [
        ("shadow", 0, None),
        ("1", 100, 1),
        ("5", 500, 2),
        ("50", 5000, 3),
        ("50", 5000, 4),
    ]
    assert state.status is RolloutStatus.PROMOTING
    state = transition(state, promoted(state, AT))
    assert (state.status, state.threshold, state.step, state.sequence) == ("promoted", 0, "50", 6)


@pytest.mark.parametrize(
    ("decisions", "next_decision", "problem"),
    [
        ((), "promote", "no user has met the candidate"),
        (("advance",), "promote", "step 5 comes first"),
        (("advance", "abort"), "advance", "has ended"),
        (("inconclusive",), "abort", "has ended"),
        (("advance", "advance", "advance", "promote"), "inconclusive", "being promoted"),
    ],
)
def test_what_comes_next_is_decided_by_where_it_stands(
    decisions: tuple[str, ...], next_decision: str, problem: str
) -> None:
    state = gone(*decisions)
    verdict = says(next_decision, state.step)
    move = by_verdict(state, verdict, len(decisions) + 1, AT)
    assert move is not None
    with pytest.raises(RolloutError, match=problem):
        transition(state, move, verdict)


def test_a_rise_needs_a_verdict_of_its_own_step_that_was_not_used() -> None:
    state = gone("advance")
    verdict = says("advance", "1")
    move = by_verdict(state, verdict, 2, AT)
    assert move is not None
    refused = [
        (move.model_copy(update={"verdict": None}), None, "no recorded verdict"),
        (move, None, "not given"),
        (move, says("hold", "1"), "verdict 2 says hold"),
        (move, says("advance", "shadow"), "of step shadow"),
        (move, verdict.model_copy(update={"rollout_id": "r-2"}), "of rollout r-2"),
        (move.model_copy(update={"verdict": 1}), verdict, "acted on already"),
        (move.model_copy(update={"threshold": 501}), verdict, "has threshold 500"),
        (move.model_copy(update={"step": "50", "threshold": 5000}), verdict, "the step after 1 is 5"),
        (move.model_copy(update={"reason": ""}), verdict, "nobody says"),
        (move.model_copy(update={"status": RolloutStatus.SHADOW}), verdict, "no such way"),
    ]
    for wrong, given_verdict, problem in refused:
        with pytest.raises(RolloutError, match=problem):
            transition(state, wrong, given_verdict)
    assert transition(state, move, verdict).threshold == 500


def test_a_person_may_promote_early_but_not_what_nobody_has_met() -> None:
    state = gone("advance")
    verdict = says("promote", "1", forced_by="ann")
    move = by_verdict(state, verdict, 2, AT)
    assert move is not None
    assert transition(state, move, verdict).history[-1].by == "ann"
    with pytest.raises(RolloutError, match="no user has met"):
        transition(
            fresh(), move.model_copy(update={"step": "shadow"}), says("promote", "shadow", forced_by="ann")
        )


def test_shares_move_within_their_step_by_a_verdict_that_holds() -> None:
    state = gone("advance", allocation="thompson")
    assert (state.step, state.threshold) == ("thompson", 500)
    for number, share in ((2, 4100), (3, 700)):
        verdict = says("hold", "thompson", share)
        move = by_verdict(state, verdict, number, AT)
        assert move is not None
        state = transition(state, move, verdict)
        assert state.threshold == share
    assert state.judged().percent == 7.0
    assert by_verdict(state, says("hold", "thompson", 700), 4, AT) is None
    wrong = Move(
        status=RolloutStatus.CANARY, step="thompson", threshold=900, at=AT, by="c", reason="x", verdict=5
    )
    with pytest.raises(RolloutError, match="allows threshold 800"):
        transition(state, wrong, says("hold", "thompson", 800))
    with pytest.raises(RolloutError, match="says hold"):
        transition(state, wrong, says("hold", "thompson"))


def test_an_abort_is_allowed_from_everywhere_and_needs_a_reason() -> None:
    for state in (fresh(), gone("advance"), gone("advance", "advance", "advance", "promote")):
        assert transition(state, aborted(state, AT, "ann", "smoke")).threshold == 0
        with pytest.raises(RolloutError, match="nobody says"):
            transition(state, aborted(state, AT, "ann", ""))


decided = st.builds(
    says,
    st.sampled_from([each.value for each in Decision]),
    st.sampled_from(["shadow", "1", "5", "50"]),
    st.one_of(st.none(), st.integers(0, 10_000)),
    st.one_of(st.none(), st.just("ann")),
)
moves = st.builds(
    Move,
    status=st.sampled_from(list(RolloutStatus)),
    step=st.sampled_from(["shadow", "1", "5", "50"]),
    threshold=st.sampled_from([0, 100, 500, 5000, 9999]),
    at=st.just(AT),
    by=st.just("x"),
    reason=st.just("y"),
    verdict=st.one_of(st.none(), st.integers(1, 40)),
)


@given(st.lists(st.tuples(decided, st.one_of(st.none(), moves), st.booleans()), max_size=30))
def test_whatever_is_tried_weight_never_rises_without_a_verdict(
    tried: list[tuple[Verdict, Move | None, bool]],
) -> None:
    state, verdicts = fresh(), dict[int, Verdict]()
    for number, (verdict, free, honest) in enumerate(tried, start=1):
        verdicts[number] = verdict
        move = by_verdict(state, verdict, number, AT) if honest or free is None else free
        if move is None:
            continue
        given_verdict = verdicts.get(move.verdict) if move.verdict is not None else None
        try:
            state = transition(state, move, given_verdict)
        except RolloutError:
            continue
    names = ("shadow", "1", "5", "50")
    for before, after in pairwise(state.history):
        assert before.status not in ENDS
        if after.threshold > before.threshold:
            verdict = verdicts[after.verdict or 0]
            assert verdict.step == before.step
            climbed = names.index(after.step) - names.index(before.step)
            if climbed:
                assert (climbed, verdict.decision) == (1, Decision.ADVANCE)
            else:
                assert verdict.allocation is not None
                assert verdict.allocation.threshold == after.threshold
        if after.status in ENDS:
            assert after.threshold == 0
        if after.status is RolloutStatus.PROMOTED:
            assert before.status is RolloutStatus.PROMOTING
    used = [move.verdict for move in state.history if move.verdict is not None]
    assert used == sorted(set(used))
