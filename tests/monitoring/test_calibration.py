import numpy as np
import pytest

from slate.monitoring.calibration import calibrate

NAMES = ("position 1", "positions 2 to 3")


def test_hand_worked() -> None:
    # Two scores at two positions, 4 users: at the second position half as many look.
    users = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    expected = np.array([0.5, 0.25, 0.5, 0.25, 0.25, 0.5, 0.25, 0.5])
    observed = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    groups = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    found = calibrate(users, expected, observed, groups, NAMES)
    assert found.ratio == pytest.approx(3 / 3)
    assert found.level.value == pytest.approx(0)
    low, high = found.scores
    assert (low.shown, low.expected, low.observed) == (4, 0.25, 0.25)
    assert (high.shown, high.expected, high.observed) == (4, 0.5, 0.5)
    first, second = found.positions
    assert (first.name, first.observed, first.expected) == ("position 1", 0.5, 0.375)
    assert (second.observed, second.expected) == (0.25, 0.375)
    # By position, 2 came of 1.5 and 1 of 1.5: scales 4/3 and 2/3. Each score was as often at either.
    assert low.adjusted == pytest.approx((2 * 0.25 * 4 / 3 + 2 * 0.25 * 2 / 3) / 4)
    assert found.shape.value == pytest.approx(0)


def test_what_is_too_much_for_one_score_is_the_shape() -> None:
    users = np.arange(4)
    expected = np.array([0.1, 0.1, 0.3, 0.3])
    observed = np.array([1.0, 1.0, 0.0, 0.0])
    found = calibrate(users, expected, observed, np.zeros(4, np.int64), NAMES)
    # 2 came of 0.8, so 0.1 becomes 0.25: 1.5 too many below, and as many too few above, of 2.
    assert found.ratio == pytest.approx(2.5)
    assert found.level.value == pytest.approx(1.5)
    assert found.shape.value == pytest.approx((1.5 + 1.5) / 2)


def test_the_interval_treats_a_users_items_as_one() -> None:
    together = calibrate(
        np.repeat([0, 1, 2, 3], 4),
        np.full(16, 0.5),
        np.repeat([1.0, 0.0, 1.0, 0.0], 4),
        np.zeros(16, np.int64),
        NAMES,
    )
    (bucket,) = together.scores
    # Four users, means 1, 0, 1, 0: standard error sqrt((4 x 0.25) / 3 / 4).
    assert bucket.high - bucket.observed == pytest.approx(1.959964 * np.sqrt(1 / 12))
    apart = calibrate(
        np.arange(16),
        np.full(16, 0.5),
        np.repeat([1.0, 0.0, 1.0, 0.0], 4),
        np.zeros(16, np.int64),
        NAMES,
    )
    assert apart.level.chance < together.level.chance


def test_negative_weights_and_nothing_at_all() -> None:
    users, groups = np.arange(3), np.zeros(3, np.int64)
    found = calibrate(users, np.array([-0.2, 0.1, 0.4]), np.array([-2.0, 0.0, 1.0]), groups, NAMES)
    assert found.ratio == pytest.approx(-1 / 0.3)
    nothing = calibrate(users, np.zeros(3), np.zeros(3), groups, NAMES)
    assert (nothing.ratio, nothing.level.value, nothing.shape.value) == (None, None, None)


def test_chance_of_both_figures_is_kept_by_users_who_do_as_promised() -> None:
    generator = np.random.default_rng(9)
    over = np.zeros(2)
    for _ in range(120):
        users = np.repeat(np.arange(80), 6)
        level = np.repeat(generator.uniform(0.05, 0.6, 80), 6)
        expected = level * generator.uniform(0.5, 1, 480)
        observed = (generator.random(480) < expected).astype(np.float64)
        found = calibrate(users, expected, observed, np.tile([0, 1, 1, 1, 1, 1], 80), NAMES)
        assert found.level.value is not None
        assert found.shape.value is not None
        over += [found.level.value > found.level.chance, found.shape.value > found.shape.chance]
    assert (over <= 2).all(), over
