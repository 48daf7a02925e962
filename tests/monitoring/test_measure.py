from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from slate.config import MonitoringConfig
from slate.errors import ConfigError
from slate.monitoring.figures import WATCHES
from slate.monitoring.log import Log
from slate.monitoring.measure import Measured, Release, measure
from tests.monitoring.world import RELEASE, Changes, World, release

CONFIG = MonitoringConfig()
#: Limits of 0 leave what chance makes as the only limit.
STRICT = MonitoringConfig(
    user_features=0,
    context=0,
    new_users=0,
    shown_features=0,
    shown_items=0,
    shown_rise=0,
    acted_items=0,
    acted_rise=0,
    event_mix=0,
    new_items=0,
    scores=0,
)


@pytest.fixture(scope="module")
def made() -> Release:
    return release()


def found(measured: Measured) -> set[str]:
    return {f"{f.name} {f.subject}".strip() for f in measured.figures if not f.passed}


def value(measured: Measured, name: str, subject: str = "") -> float | None:
    (figure,) = [f for f in measured.figures if (f.name, f.subject) == (name, subject)]
    return figure.value


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (Changes(comedy=5.0), {"shown_features genre"}),
        (Changes(young=True), {"user_features age"}),
        (Changes(strangers=0.8), {"new_users"}),
        (Changes(tv=0.95), {"context surface"}),
        (Changes(top=0.5), {"shown_rise"}),
        (Changes(viral=0.5), {"acted_rise"}),
        (Changes(hides=0.4), {"event_mix"}),
        (Changes(unknown=0.5), {"new_items"}),
        (
            Changes(score=0.15),
            {"scores position 1", "scores positions 2 to 3", "scores positions 4 to 10"},
        ),
        (Changes(rate=3.0), {"calibration"}),
        (Changes(rate=0.1), {"calibration"}),
        (Changes(flat=True), {"calibration_shape"}),
        (Changes(popular=0.3), {"degraded stable"}),
        (Changes(empty=0.05), {"empty stable"}),
        (Changes(slow=10.0), {"slow stable"}),
        (Changes(), set()),
    ],
    ids=lambda value: ", ".join(sorted(value)) if isinstance(value, set) else "of",
)
def test_each_planted_change_is_caught_by_its_figure_alone(
    made: Release, changes: Changes, expected: set[str]
) -> None:
    measured = measure(World(7).log(changes, users=600, organic=1200), made, CONFIG)
    assert found(measured) == expected, [str(f) for f in measured.figures if not f.passed]
    assert {f.name for f in measured.figures} == {watch.name for watch in WATCHES}
    assert all(f.value is not None for f in measured.figures)


def false_alarms(days: int) -> Counter[str]:
    """What raised its voice over so many quiet days, ten to a release; ``days`` counts the days with any."""
    raised: Counter[str] = Counter()
    for seed in range(days // 10):
        made, world = release(100 + seed), World(seed)
        for _ in range(10):
            loud = found(measure(world.log(), made, STRICT))
            raised.update([*loud, *(["days"] if loud else [])])
    return raised


def test_chance_alone_raises_no_voice() -> None:
    raised = false_alarms(20)
    assert raised["days"] <= 2, raised


@pytest.mark.slow
def test_of_two_hundred_quiet_days_one_in_twenty_at_most_is_called_moved() -> None:
    raised = false_alarms(200)
    print(f"false alarms in 200 days, by chance limits alone: {dict(raised)}")
    assert raised["days"] <= 10, raised


def test_an_empty_day_is_judged_by_nothing(made: Release) -> None:
    log = World(7).log()
    nothing = log._replace(
        exposures=log.exposures.slice(0, 0),
        outcomes=log.outcomes.slice(0, 0),
        organic=log.organic.slice(0, 0),
    )
    measured = measure(nothing, made, CONFIG)
    assert (measured.slates, measured.users, measured.outcomes) == (0, 0, 0)
    assert {f.value for f in measured.figures} == {None}
    assert measured.quality == ()
    assert measured.calibration is None


def test_outcomes_without_their_exposures_cost_calibration_alone(made: Release) -> None:
    log = World(7).log()
    measured = measure(log._replace(exposures=log.exposures.slice(0, 0)), made, CONFIG)
    assert value(measured, "calibration") is None
    assert value(measured, "acted_items") is not None
    assert value(measured, "event_mix") is not None


def test_each_release_answers_for_its_own_slates(made: Release) -> None:
    world = World(7)
    other = "20261102T000000000000Z-fedcbafedcba"
    quiet, loud = world.exposures(300), world.exposures(300, Changes(comedy=9.0, empty=0.1), other)
    log = world.log()._replace(
        exposures=pa.concat_tables([quiet, loud]),
        outcomes=pa.concat_tables([world.outcomes(quiet), world.outcomes(loud)]),
    )
    assert log.releases == [RELEASE, other]
    mine, theirs = measure(log, made, CONFIG), measure(log, replace(made, release_id=other), CONFIG)
    assert found(mine) == set()
    assert {"shown_features genre", "empty stable"} <= found(theirs)
    assert mine.slates == quiet.num_rows
    assert theirs.slates == loud.num_rows
    assert value(mine, "empty", "stable") == 0


def test_slates_that_wait_for_outcomes_are_left_out_of_calibration(made: Release) -> None:
    log = World(7).log(users=1000)
    half: Log = log._replace(complete=log.start + timedelta(hours=12))
    measured = measure(half, made, CONFIG)
    whole = measure(log, made, CONFIG)
    assert measured.calibration is not None
    assert whole.calibration is not None
    shown = [sum(b.shown for b in m.calibration.scores) for m in (measured, whole) if m.calibration]
    assert 0.4 < shown[0] / shown[1] < 0.6
    assert "wait for outcomes" in measured.notes[0]
    # What came of the others would otherwise be divided by what was expected of them.
    assert measured.calibration.ratio == pytest.approx(whole.calibration.ratio, rel=0.2)


def test_a_release_of_before_is_judged_by_its_training_data_alone(made: Release) -> None:
    measured = measure(World(7).log(), replace(made, reference=None), CONFIG)
    names = {f.name for f in measured.figures if f.value is not None}
    assert {"new_users", "new_items", "acted_items", "event_mix", "calibration", "degraded"} <= names
    assert not names & {"scores", "shown_features", "user_features", "context"}
    assert "ships no description" in measured.notes[0]


def test_one_user_cannot_raise_an_alarm(made: Release) -> None:
    world = World(7)
    log = world.log()
    first = log.exposures.slice(0, 1)
    # A third of all that is shown, to one user.
    flood = pa.concat_tables([log.exposures, *([first] * (log.exposures.num_rows // 2))])
    assert found(measure(log._replace(exposures=flood), made, CONFIG)) <= {"calibration"}


def test_few_users_are_not_judged_and_severities_are_heeded(made: Release) -> None:
    log = World(7).log(Changes(comedy=9.0), users=40, organic=40)
    assert {f.value for f in measure(log, made, CONFIG).figures} == {None}
    loud = World(7).log(Changes(comedy=9.0))
    config = MonitoringConfig(severities={"shown_features": "error", "shown_items": "off"})
    figures = measure(loud, made, config).figures
    assert {f.severity for f in figures if f.name == "shown_features"} == {"error"}
    assert not [f for f in figures if f.name == "shown_items"]
    with pytest.raises(ConfigError, match="did you mean shown_features"):
        measure(loud, made, MonitoringConfig(severities={"shown_feature": "off"}))
