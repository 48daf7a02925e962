"""State, verdicts and blocks, as they lie in a store."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from slate.errors import ConflictError, NotFoundError, RolloutError, StorageError
from slate.release.rollouts import active_rollouts, point, read_pointer, refuse_while_active
from slate.rollout.blocks import BlockLog, Counted, read_blocks
from slate.rollout.judge.evidence import Requests
from slate.rollout.state import create, read_state, state_key, swap
from slate.rollout.transition import aborted, transition
from slate.rollout.verdicts import last_verdict, read_verdict, read_verdicts, record, verdict_key
from slate.storage import ObjectStore, open_store
from tests.rollout.bench import NOW, block
from tests.rollout.test_transition import AT, fresh, gone, says


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path / "store")


def test_a_state_comes_back_as_it_was(store: ObjectStore) -> None:
    state = gone("advance", "advance")
    create(store, state)
    assert read_state(store, "r-1").state == state
    raw = json.loads(store.read(state_key("r-1")))
    assert raw["schema"] == 1
    assert raw["history"][-1] == {
        "status": "canary", "step": "5", "threshold": 500, "at": AT, "by": "controller", "reason": "so",
        "verdict": 2,
    }  # fmt: skip


def test_of_two_that_swap_one_state_one_wins(store: ObjectStore) -> None:
    created = create(store, fresh())
    with pytest.raises(ConflictError):
        create(store, fresh())
    read = read_state(store, "r-1")
    after = transition(read.state, aborted(read.state, AT, "ann", "smoke"))
    swap(store, created, after)
    with pytest.raises(ConflictError):
        swap(store, read, after)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sequence": 7}, "has sequence 7 and 2 moves"),
        ({"threshold": 5000}, "not where it stands"),
        ({"rollout_id": "r-2"}, "is of rollout r-2"),
        ({"steps": (2.0,)}, "has no step '1'"),
        ({"status": "over"}, "status"),
    ],
)
def test_a_state_that_contradicts_itself_is_refused(
    store: ObjectStore, changes: dict[str, object], problem: str
) -> None:
    raw = json.loads(gone("advance").to_bytes())
    store.write_new(state_key("r-1"), json.dumps(raw | changes).encode())
    with pytest.raises(RolloutError, match=problem):
        read_state(store, "r-1")


def test_steps_begin_when_they_were_entered(store: ObjectStore) -> None:
    state = gone("advance", allocation="thompson")
    step = state.judged()
    assert (step.name, step.percent, step.moved) == ("thompson", 5.0, None)
    assert step.started == step.rollout_started
    assert gone("advance").judged().percent == 1.0
    assert fresh().split(100.0).mirror_percent == 100.0
    assert gone("advance").split(100.0).mirror_percent == 0.0
    assert gone("abort").split(100.0).rollout_id == ""


def test_the_pointer_is_of_one_rollout_until_it_ended(store: ObjectStore) -> None:
    assert read_pointer(store) is None
    refuse_while_active(store)
    create(store, fresh())
    first = point(store, "r-1", None)
    assert active_rollouts(store) == ["r-1"]
    with pytest.raises(ConflictError, match="r-1 is under way"):
        refuse_while_active(store)
    with pytest.raises(ConflictError):
        point(store, "r-2", None)
    stored = read_state(store, "r-1")
    swap(store, stored, transition(stored.state, aborted(stored.state, AT, "ann", "smoke")))
    assert active_rollouts(store) == []
    point(store, "r-1", first, ended=True)
    with pytest.raises(ConflictError):
        point(store, "r-2", first)
    point(store, "r-2", read_pointer(store))
    store.write_new(state_key("r-2"), b"{")
    assert active_rollouts(store) == ["r-2"]


def test_a_pointer_that_names_nothing_is_an_error(store: ObjectStore) -> None:
    store.write_new("rollouts/active.json", b"{}")
    with pytest.raises(StorageError, match="names no rollout"):
        active_rollouts(store)


def test_the_last_verdict_is_found_among_many(store: ObjectStore) -> None:
    assert last_verdict(store, "r-1") is None
    for number in range(1, 38):
        record(store, says("hold", "1"), number)
        found = last_verdict(store, "r-1")
        assert found is not None
        assert found.number == number
    assert last_verdict(store, "r-1", 37) is None
    assert [each.number for each in read_verdicts(store, "r-1")] == list(range(1, 38))
    with pytest.raises(ConflictError):
        record(store, says("advance", "1"), 37)
    store.write_new(verdict_key("r-1", 38), b"{}")
    with pytest.raises(RolloutError, match="is no verdict"):
        read_verdict(store, "r-1", 38)
    with pytest.raises(NotFoundError):
        read_verdict(store, "r-1", 39)


def test_blocks_and_where_the_counters_stood_outlive_the_process(store: ObjectStore) -> None:
    log = BlockLog(store, "r-1", "5")
    assert log.mark() == {}
    log.begin(NOW, {"requests": 1})
    for number in range(3):
        at = NOW + timedelta(minutes=25 * number)
        log.add(Counted(block(at, failed=number), Requests(2, number, 3.0 + number)), {"requests": number})
    again = BlockLog(store, "r-1", "5")
    assert [each.candidate.errors for each in again.blocks()] == [0, 1, 2]
    assert again.mark() == {"requests": 2}
    assert again.shadow() == Requests(6, 3, 5.0)
    assert again.counted() == log.counted() == read_blocks(store, "r-1", "5")
    hours = store.list("rollouts/r-1/blocks/5/")
    assert [key.rpartition("/")[2] for key in hours] == ["2026-12-01T12.json"]
    again.add(Counted(block(NOW + timedelta(minutes=75))), {"requests": 3})
    assert len(store.list("rollouts/r-1/blocks/5/")) == 2
    assert BlockLog(store, "r-1", "5").mark() == {"requests": 3}
    assert BlockLog(store, "r-1", "25").blocks() == []


def test_who_lost_the_lease_keeps_no_block(store: ObjectStore) -> None:
    mine, theirs = BlockLog(store, "r-1", "5"), BlockLog(store, "r-1", "5")
    mine.begin(NOW, {})
    theirs.add(Counted(block(NOW)), {})
    with pytest.raises(ConflictError):
        mine.add(Counted(block(NOW)), {})
    # What was in memory is forgotten, so the next block goes on from what is there.
    mine.add(Counted(block(NOW + timedelta(seconds=5))), {})
    assert len(BlockLog(store, "r-1", "5").blocks()) == 2
    with pytest.raises(RolloutError, match="set the clocks right"):
        mine.add(Counted(block(NOW - timedelta(seconds=5))), {})


def test_blocks_that_cannot_be_read_are_named(store: ObjectStore) -> None:
    store.write_new("rollouts/r-1/blocks/5/2026-12-01T12.json", b'{"blocks": [{}], "mark": {}}')
    with pytest.raises(RolloutError, match="holds no blocks"):
        BlockLog(store, "r-1", "5").blocks()
