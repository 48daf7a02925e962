import math
from datetime import timedelta
from pathlib import Path

import pytest

from slate.config import ShadowConfig
from slate.feedback.kept_days import KeptDays
from slate.rollout.judge.evidence import Requests, Step
from slate.rollout.likeness import NEWEST, read_likeness
from slate.rollout.traffic.driver import Split
from slate.storage import ObjectStore, open_store
from tests.rollout.bench import NONE, NOW, exposure, write_log

SHADOW = Split("r-1", "shadow", 0, 100.0)
STEP = Step("r-1", "shadow", 0.0, NOW, NOW)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path / "store")


def test_answers_to_the_same_request_are_compared_and_no_others(store: ObjectStore) -> None:
    other = Split("r-0", "shadow", 0, 100.0)
    given = [exposure(f"u{number}", NOW, SHADOW, number, ("a", "b")) for number in range(4)]
    copies = [
        exposure("u0", NOW, SHADOW, 0, ("a", "b")),
        exposure("u1", NOW, SHADOW, 1, ("b", "c")),
        exposure("u1", LATER, SHADOW, 1, ("x", "y")),
        exposure("u9", NOW, SHADOW, 9, ("a", "b")),
        exposure("u2", NOW, other, 2, ("a", "b")),
        exposure("u3", NOW, SHADOW, 3, ("a", "b"), request_id=None),
    ]
    write_log(store, "exposures", given, NOW, 1)
    write_log(store, "shadow_exposures", copies, NOW, 1)
    found = read_likeness(KeptDays(store), STEP, ShadowConfig(k=2), LATER, NONE)
    # u0 has both items in common, u1 one of two.
    assert (found.requests, found.failed, found.overlap) == (2, 0.0, 0.75)


def test_copies_that_the_gateway_lost_count_as_failed(store: ObjectStore) -> None:
    rows = [exposure(f"u{number}", NOW, SHADOW, number) for number in range(8)]
    write_log(store, "exposures", rows, NOW, 1)
    write_log(store, "shadow_exposures", rows[:6], NOW, 1)
    found = read_likeness(KeptDays(store), STEP, ShadowConfig(), LATER, Requests(10, 4, None))
    assert (found.requests, found.failed) == (10, pytest.approx(0.4))


def test_a_shadow_that_never_answers_fails_altogether(store: ObjectStore) -> None:
    write_log(store, "exposures", [exposure("u0", NOW, SHADOW, 0)], NOW, 1)
    found = read_likeness(KeptDays(store), STEP, ShadowConfig(), LATER, Requests(700, 700, None))
    assert (found.requests, found.failed) == (700, 1.0)
    assert math.isnan(found.overlap)
    nothing = read_likeness(KeptDays(store), STEP, ShadowConfig(), LATER, NONE)
    assert nothing.requests == 0
    assert math.isnan(nothing.failed)


def test_the_newest_are_compared(store: ObjectStore) -> None:
    many = [exposure(f"u{number}", NOW + timedelta(seconds=number), SHADOW, number) for number in range(50)]
    write_log(store, "exposures", many, NOW, 1)
    write_log(store, "shadow_exposures", many, NOW, 1)
    assert read_likeness(KeptDays(store), STEP, ShadowConfig(minimum=2), LATER, NONE).requests == 2 * NEWEST
