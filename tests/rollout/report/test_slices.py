"""Slices of a rollout of a real release, from the log and from the users that the release ships."""

import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slate.config import RolloutConfig
from slate.feedback import tables
from slate.rollout.report.course import read_course
from slate.rollout.report.page import render
from slate.rollout.report.slices import Slice, read_slices
from slate.rollout.state import RolloutStatus
from slate.storage import LocalStore
from tests.conftest import TinyRun
from tests.rollout.report import courses
from tests.rollout.report.courses import ID, START, Course

CONFIG = RolloutConfig(window_s=3600, settle_s=0, minimum_users=10)
USERS = 90


@pytest.fixture
def course(tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    """Users p0 to p59 are the release's, p1000 and on are not; every third meets the candidate."""
    monkeypatch.setattr(courses, "RELEASE", tiny.release_id)
    shutil.copytree(Path(tiny.store) / "releases", tmp_path / "releases")
    course = Course(tmp_path)
    course.at += timedelta(minutes=1)
    course.move(RolloutStatus.CANARY, "25", 2500)
    exposures, outcomes = [], []
    for number in range(USERS):
        user = f"p{number if number < 60 else 1000 + number}"
        variant = "candidate" if number % 3 == 0 else "stable"
        at = START + timedelta(minutes=2, seconds=number)
        common = {
            "user_id": user,
            "rollout_id": ID,
            "step": "25",
            "assigned_variant": variant,
            "release_id": "r",
        }
        exposures.append(
            common | {
                "exposure_id": f"e{number}", "timestamp": at, "served_variant": variant,
                "rung": "popular" if number % 5 == 0 else "personalised", "items": [],
            }
        )  # fmt: skip
        done = {
            "item_id": "i",
            "event": "watch",
            "organic": False,
            "received": at,
            "exposure_id": f"e{number}",
        }
        for place in range((3 if variant == "candidate" else 1) + number % 2):
            outcomes.append(common | done | {"event_id": f"{number}-{place}", "timestamp": at})
        if number % 4 == 0:
            before = START - timedelta(minutes=5)
            outcomes.append(
                common
                | done
                | {"event_id": f"{number}-b", "timestamp": before, "rollout_id": None, "step": None}
            )
    for name, schema, rows in (
        ("exposures", tables.EXPOSURES, exposures), ("outcomes", tables.OUTCOMES, outcomes),
    ):  # fmt: skip
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
        course.store.write_new(f"{name}/date=2026-06-01/000-0.parquet", sink.getvalue().to_pybytes())
    return course


def by_name(found: tuple[Slice, ...]) -> dict[str, Slice]:
    return {each.name: each for each in found}


def test_slices_of_users(course: Course) -> None:
    store, now = course.save(), START + timedelta(hours=3)
    state = read_course(store).state
    found, without = read_slices(store, state, CONFIG, now)
    assert without is None
    slices = by_name(found)
    assert slices["all users"].users == (60, 30)
    assert slices["all users"].value == pytest.approx(2.0, abs=0.1)
    assert slices["all users"].low < 2.0 < slices["all users"].high
    active = slices["before the rollout: did something"]
    assert sum(active.users) == len(range(0, USERS, 4))
    assert sum(slices["first slate: a lower rung"].users) == len(range(0, USERS, 5))
    cold = next(each for name, each in slices.items() if name.startswith("known to the release: fewer"))
    assert sum(cold.users) >= 30
    # Users whom the release does not know have no region.
    assert sum(sum(each.users) for name, each in slices.items() if name.startswith("region: ")) == 60
    for name in ("before the rollout", "first slate", "known to the release"):
        counted = [sum(each.users) for label, each in slices.items() if label.startswith(name)]
        assert sum(counted) == USERS, name
    html = render(read_course(store), found, without, CONFIG, now)
    assert "region: north" in html
    assert 'class="forest"' in html


def test_users_whose_time_is_not_over_are_left_out(course: Course) -> None:
    store = course.save()
    state = read_course(store).state
    found, _ = read_slices(store, state, CONFIG, START + timedelta(minutes=62, seconds=29))
    assert sum(found[0].users) == 30
    assert read_slices(store, state, CONFIG, START + timedelta(minutes=10)) == (
        (), "No user's 3600 s of step 25 are over.",
    )  # fmt: skip


def test_a_release_that_is_gone_leaves_no_slices(course: Course) -> None:
    store = course.save()
    state = read_course(store).state.model_copy(update={"release_id": courses.STABLE})
    found, without = read_slices(store, state, CONFIG, START + timedelta(hours=3))
    assert found == ()
    assert without is not None
    assert "cannot be told" in without
    empty = LocalStore(store.root / "elsewhere")
    assert read_slices(empty, state, CONFIG, START)[0] == ()
