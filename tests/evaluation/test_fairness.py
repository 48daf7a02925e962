import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.config import EvaluationConfig, GateConfig
from slate.evaluation.fairness import Shown, measure_fairness
from slate.evaluation.gate_fairness import group_rules
from slate.evaluation.slices import attribute_slices

CONFIG = EvaluationConfig(ks=(3,), k=3, bootstrap=100)
COUNTS = np.array([40, 30, 20, 10, 0, 0])
#: Exposure of three places, 1 / log2(1 + rank).
FIRST, SECOND, THIRD = 1.0, 1 / math.log2(3), 0.5
ALL_THREE = FIRST + SECOND + THIRD


def _metrics(ndcg, recall=None):
    ndcg = np.asarray(ndcg, float)
    return {"ndcg@3": ndcg, "recall@3": ndcg if recall is None else np.asarray(recall, float)}


def _fairness(targets, top, metrics=None, users=None, items=None, counts=COUNTS, config=CONFIG):
    slices = [
        part
        for attribute, values in (users or {}).items()
        for part in attribute_slices(targets, attribute, values, limit=9)
    ]
    given = _metrics(np.zeros(len(targets))) if metrics is None else metrics
    return measure_fairness(
        Shown(targets, np.asarray(top, np.int32), counts), given, slices, items or {}, config
    )


def test_a_list_has_one_unit_of_exposure_and_padding_none(make_targets):
    shown = Shown(
        make_targets([("a", 0, []), ("b", 0, []), ("c", 0, [])]),
        np.array([[4, 0, 2], [1, 3, -1], [-1, -1, -1]], np.int32),
        COUNTS,
    )
    np.testing.assert_allclose(shown.weights[0], np.array([FIRST, SECOND, THIRD]) / ALL_THREE)
    np.testing.assert_allclose(shown.weights[1], np.array([FIRST, SECOND, 0]) / (FIRST + SECOND))
    assert shown.weights[2].tolist() == [0, 0, 0]
    # Padding reads the last row of the catalogue, which must not count.
    last = np.array([False] * 5 + [True])
    assert shown.exposure_of(last).tolist() == [0, 0, 0]
    np.testing.assert_allclose(shown.mean_of(COUNTS), [20, 20, np.nan])


def test_the_head_is_the_most_popular_twentieth(make_targets):
    counts = np.array([1] * 30 + [7] + [9] * 2 + [1] * 8)
    shown = Shown(make_targets([("a", 0, [])]), np.array([[0]], np.int32), counts)
    assert np.flatnonzero(shown.head).tolist() == [30, 31, 32]
    few = Shown(make_targets([("a", 0, [])]), np.array([[0]], np.int32), np.array([3, 5, 5]))
    assert np.flatnonzero(few.head).tolist() == [1]


def test_groups_of_users_are_means_over_users_against_everybody_else(make_targets):
    targets = make_targets([("a", 0, []), ("a", 1, []), ("b", 0, []), ("c", 0, []), ("d", 0, [])])
    found = _fairness(
        targets,
        [[0, 1, -1], [0, 1, -1], [0, 4, -1], [2, 3, -1], [-1, -1, -1]],
        _metrics([1.0, 0.0, 0.7, 0.2, 0.0], [1, 0, 1, 1, 0]),
        users={"side": {"a": "left", "b": "left", "c": "right"}},
    )
    left, right, missing = found.users
    assert [g.name for g in found.users] == ["side: left", "side: right", "side: missing"]
    assert [(g.users, g.others, g.targets) for g in found.users] == [(2, 2, 3), (1, 3, 1), (1, 3, 1)]
    assert left.metrics["ndcg@3"].value == pytest.approx((0.5 + 0.7) / 2)
    gap = left.differences["ndcg@3"]
    assert (gap.group, gap.rest) == (pytest.approx(0.6), pytest.approx((0.2 + 0.0) / 2))
    assert gap.value == pytest.approx(0.5)
    assert gap.relative == pytest.approx(5.0)
    assert gap.low <= 0.5 <= gap.high
    assert left.differences["recall@3"].value == pytest.approx((0.5 + 1) / 2 - 0.5)
    assert right.differences["ndcg@3"].value == pytest.approx(0.2 - (0.5 + 0.7 + 0) / 3)
    assert right.differences["ndcg@3"].low is None
    # What they are shown: items 0, 1 and 4 of six; item 0 is the head, and half of each list.
    assert found.head_items == 1
    assert left.coverage == 3 / 6
    assert left.popularity.value == pytest.approx((35 + 20) / 2)
    assert left.head.value == 0.5
    bits = [-math.log2((count + 1) / 106) for count in COUNTS]
    assert left.novelty.value == pytest.approx(((bits[0] + bits[1]) / 2 + (bits[0] + bits[4]) / 2) / 2)
    # Nothing was shown to d, which is no novelty of 0.
    assert (missing.coverage, missing.novelty, missing.popularity, missing.head) == (0, None, None, None)


def test_a_group_of_everybody_has_nobody_to_be_compared_with(make_targets):
    targets = make_targets([("a", 0, []), ("b", 0, [])])
    (only,) = _fairness(targets, [[0, 1, 2]] * 2, users={"side": {"a": "left", "b": "left"}}).users
    assert (only.users, only.others, only.differences) == (2, 0, {})
    assert only.metrics["ndcg@3"].value == 0


def test_exposure_is_held_against_what_users_wanted(make_targets):
    targets = make_targets([("a", 0, []), ("b", 0, []), ("b", 1, [])])
    found = _fairness(
        targets,
        [[0, 1, 2], [1, 0, 2], [1, 2, -1]],
        items={"price": ["low", "high", "high", "high", None, "low"]},
    )
    by_name = {group.name: group for group in found.items}
    assert list(by_name) == ["price: high", "price: low", "price: missing"]
    low = by_name["price: low"]
    assert (low.groups, low.items, low.catalogue) == (3, 2, pytest.approx(2 / 6))
    # b wanted item 0 with one of two targets; the lists of b show it second, then not at all.
    assert (low.users, low.targets) == (2, 2)
    assert low.exposure.reference == pytest.approx((1 + 0.5) / 2)
    assert low.exposure.challenger == pytest.approx((FIRST + SECOND / 2) / ALL_THREE / 2)
    assert low.exposure.relative == pytest.approx(low.exposure.challenger / 0.75 - 1)
    missing = by_name["price: missing"]
    assert (missing.items, missing.users, missing.exposure.value) == (1, 0, 0)
    assert missing.exposure.relative is None


def test_an_item_with_several_values_is_in_each_of_their_groups(make_targets):
    found = _fairness(
        make_targets([("a", 0, [])]),
        [[0, 1, 2]],
        items={"genre": [["war", "drama"], ["war"], [], ["drama"], ["drama"], ["war"]]},
    )
    shares = {group.label: (group.items, group.exposure.challenger) for group in found.items}
    assert shares == {
        "drama": (3, pytest.approx(FIRST / ALL_THREE)),
        "war": (3, pytest.approx((FIRST + SECOND) / ALL_THREE)),
        "missing": (1, pytest.approx(THIRD / ALL_THREE)),
    }


@st.composite
def _worlds(draw):
    """Users with targets and full lists of three of six items."""
    n = draw(st.integers(1, 12))
    rows = [(f"u{draw(st.integers(0, 5))}", draw(st.integers(0, 5)), []) for _ in range(n)]
    top = [draw(st.permutations(range(6)))[:3] for _ in range(n)]
    labels = draw(st.lists(st.sampled_from(["x", "y", None, ""]), min_size=6, max_size=6))
    return rows, top, labels, [draw(st.floats(0, 1)) for _ in range(n)]


@given(_worlds())
def test_shares_of_a_partition_add_up_to_one(make_targets, world):
    rows, top, labels, _ = world
    groups = _fairness(make_targets(rows), top, items={"label": labels}).items
    assert sum(g.exposure.challenger for g in groups) == pytest.approx(1)
    assert sum(g.exposure.reference for g in groups) == pytest.approx(1)
    assert sum(g.catalogue for g in groups) == pytest.approx(1)
    assert sum(g.targets for g in groups) == len(rows)
    assert sum(g.exposure.value for g in groups) == pytest.approx(0)
    assert {g.groups for g in groups} == {len(groups)}


@given(_worlds())
def test_users_are_in_one_group_each_and_gaps_balance(make_targets, world):
    rows, top, labels, ndcg = world
    targets = make_targets(rows)
    values = {f"u{n}": label for n, label in enumerate(labels)}
    groups = _fairness(targets, top, _metrics(ndcg), users={"label": values}).users
    everybody = len(targets.users)
    assert sum(g.users for g in groups) == everybody
    assert all(g.users + g.others == everybody for g in groups)
    mean = sum(g.users * g.metrics["ndcg@3"].value for g in groups) / everybody
    for group in groups:
        if group.others:
            gap = group.differences["ndcg@3"]
            assert gap.group * group.users + gap.rest * group.others == pytest.approx(mean * everybody)


@given(_worlds())
def test_two_groups_of_the_same_people_have_no_gap(make_targets, world):
    rows, top, _, ndcg = world
    twins = rows + [(f"twin of {user}", item, past) for user, item, past in rows]
    values = {user: "twin" if user.startswith("twin") else "first" for user, _, _ in twins}
    groups = _fairness(make_targets(twins), top * 2, _metrics(ndcg * 2), users={"birth": values}).users
    for group in groups:
        gap = group.differences["ndcg@3"]
        assert gap.value == pytest.approx(0, abs=1e-12)
        assert gap.low is None or gap.low <= 1e-12 <= gap.high + 2e-12
        assert group.coverage == groups[0].coverage
        assert group.novelty.value == pytest.approx(groups[0].novelty.value)


@given(_worlds())
def test_a_group_of_all_items_has_the_exposure_that_it_merits(make_targets, world):
    rows, top, _, _ = world
    (everything,) = _fairness(make_targets(rows), top, items={"kind": ["film"] * 6}).items
    assert (everything.catalogue, everything.exposure.reference) == (1, 1)
    assert everything.exposure.challenger == pytest.approx(1)
    assert everything.exposure.value == pytest.approx(0, abs=1e-12)


def _planted(make_targets, worse, people=1_000):
    """Women find their target at ``worse`` times the rate of men; cheap items are wanted but not shown."""
    rng = np.random.default_rng(3)
    values = {f"u{n}": "FM"[n % 2] for n in range(people)}
    targets = make_targets([(f"u{n}", int(rng.integers(0, 6)), []) for n in range(people)])
    rate = np.array([0.4 * worse if values[user] == "F" else 0.4 for user in targets.user_ids])
    top = np.tile([0, 1, 2], (people, 1))
    found = _fairness(
        targets,
        top,
        _metrics((rng.random(people) < rate).astype(float)),
        users={"gender": values},
        items={"price": ["high"] * 3 + ["low"] * 3},
    )
    return {
        "metric": "ndcg@3",
        "slices": [{"name": "all", "users": people}],
        "fairness": found.model_dump(mode="json"),
    }


def test_planted_gaps_are_found_and_refused(make_targets):
    def failed(worse, **gate):
        checks = [rule() for _, rule in group_rules(_planted(make_targets, worse), GateConfig(**gate))]
        return {check.name for check in checks if not check.passed}

    assert failed(0.1) == {"quality gap gender: F", "exposure gap price: low"}
    assert failed(1.0) == {"exposure gap price: low"}
    assert failed(0.1, exposure_gap=None) == {"quality gap gender: F"}
    assert failed(0.1, quality_gap=None, exposure_gap=None) == set()
    # A gap that is there, within what is tolerated.
    assert failed(0.6, exposure_gap=None) == set()
    assert failed(0.6, exposure_gap=None, quality_gap=0.0) == {"quality gap gender: F"}
    assert failed(0.1, min_slice_users=600, exposure_gap=None) == set()
