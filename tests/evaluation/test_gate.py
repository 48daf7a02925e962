import copy
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.config import EvaluationConfig, GateConfig
from slate.data.vocabulary import IdMap
from slate.evaluation.gate import GateInputs, decide
from slate.evaluation.measure import measure
from slate.release.verdict import Verdict

CONFIG = GateConfig(min_users=50, min_slice_users=20)
DAY = "2026-03-{:02d}T00:00:00.000000Z"


def _difference(challenger, reference, users=200, spread=0.004):
    value = challenger - reference
    return {
        "users": users,
        "challenger": challenger,
        "reference": reference,
        "value": value,
        "low": value - 1.2 * spread,
        "high": value + 1.2 * spread,
        "lower": value - spread,
        "upper": value + spread,
        "relative": value / reference,
        "relative_low": None,
        "relative_high": None,
        "detectable": 1.5 * spread,
        "detectable_relative": 1.5 * spread / reference,
    }


def _slice(name, users, attribute=None, challenger=0.105, champion=0.1):
    return {
        "name": name,
        "attribute": attribute or name,
        "label": name,
        "users": users,
        "targets": 3 * users,
        "metrics": {},
        "differences": {
            "champion": _difference(challenger, champion, users),
            "popularity": _difference(challenger, 0.03, users),
        }
        if users
        else {},
    }


def _group(name, users, attribute, quality=0.1, rest=0.1, everybody=200):
    others = everybody - users
    difference = _difference(quality, rest)
    return {
        "name": name,
        "attribute": attribute,
        "users": users,
        "others": others,
        "differences": {
            "ndcg@10": {key: difference[key] for key in ("value", "lower", "upper")}
            | {"users": users, "others": others, "group": quality, "rest": rest}
        }
        if others
        else {},
    }


def _items(name, users, attribute, shown=0.4, wanted=0.5, groups=2):
    return {
        "name": name,
        "attribute": attribute,
        "groups": groups,
        "users": users,
        "exposure": _difference(shown, wanted, spread=0.05)
        | {"relative_low": (shown - 0.06) / wanted - 1, "relative_high": (shown + 0.06) / wanted - 1},
    }


def _good():
    """A challenger that is 5% better, in the plain JSON types of a real evaluation."""
    return {
        "first_release": False,
        "evaluation": {
            "protocol": "temporal",
            "metric": "ndcg@10",
            "challenger": "funnel",
            "targets": {"first": DAY.format(11), "last": DAY.format(20)},
            "rankers": {
                "funnel": {"coverage": 0.5, "concentration": 0.8},
                "champion": {"coverage": 0.6, "concentration": 0.75},
                "popularity": {"coverage": 0.1, "concentration": 0.99},
            },
            "slices": [
                _slice("all", 200),
                _slice("cold users", 40),
                _slice("new items", 0),
                _slice("gender: F", 120, "gender"),
                _slice("gender: M", 80, "gender"),
            ],
            "fairness": {
                "users": [_group("gender: F", 120, "gender"), _group("gender: M", 80, "gender")],
                "items": [_items("price: low", 90, "price"), _items("price: high", 60, "price")],
            },
        },
        "challenger": {
            "content": "c2",
            "train_end": DAY.format(9),
            "valid_end": DAY.format(10),
            "watermark": DAY.format(20),
        },
        "champion": {"content": "c1", "train_end": DAY.format(2), "valid_end": DAY.format(3)},
        "attributes": ["gender"],
        "item_attributes": ["price"],
        "index": {"recall": 0.97, "recall_target": 0.95},
        "parity": {"retrieval": 1e-7, "ranking": 3e-6},
    }


def _first():
    raw = _good()
    raw |= {"first_release": True, "champion": None}
    del raw["evaluation"]["rankers"]["champion"]
    for part in raw["evaluation"]["slices"]:
        part["differences"].pop("champion", None)
    return raw


def _decide(raw, config=CONFIG):
    return decide(GateInputs(**raw), config)


def _set(raw, path, value):
    raw = copy.deepcopy(raw)
    node = raw
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return raw


def _delete(raw, path):
    raw = copy.deepcopy(raw)
    node = raw
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return raw


def _paths(node, prefix=()):
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield (*prefix, key)
        yield from _paths(node[key], (*prefix, key))


def _evidence(raw):
    """Every path but the entries of the attributes, which declare what must be measured."""
    declared = {"attributes", "item_attributes"}
    return [path for path in _paths(raw) if path[0] not in declared or len(path) == 1]


def _reasons(verdict):
    return [check.name for check in verdict.failed]


ALL, COLD, WOMEN = (("evaluation", "slices", n) for n in (0, 1, 3))
FAIRNESS = ("evaluation", "fairness")
WOMEN_ALONE, CHEAP = (*FAIRNESS, "users", 0), (*FAIRNESS, "items", 0)

#: What the rules read, for a successor: each of these must be there and be sound.
NEEDED = [
    ("first_release",),
    ("evaluation",),
    ("evaluation", "protocol"),
    ("evaluation", "metric"),
    ("evaluation", "challenger"),
    ("evaluation", "targets"),
    ("evaluation", "targets", "first"),
    ("evaluation", "targets", "last"),
    ("evaluation", "rankers"),
    *(("evaluation", "rankers", r, k) for r in ("funnel", "champion") for k in ("coverage", "concentration")),
    ("evaluation", "rankers", "funnel"),
    ("evaluation", "rankers", "champion"),
    ("evaluation", "slices"),
    *(("evaluation", "slices", n) for n in range(5)),
    *(("evaluation", "slices", n, k) for n in range(5) for k in ("name", "attribute", "users")),
    *((*part, "differences") for part in (ALL, COLD, WOMEN)),
    *((*part, "differences", "champion") for part in (ALL, COLD, WOMEN)),
    (*ALL, "differences", "popularity"),
    *(
        (*part, "differences", "champion", k)
        for part in (ALL, COLD, WOMEN)
        for k in ("users", "challenger", "reference", "value", "lower", "upper", "detectable")
    ),
    *((*ALL, "differences", "popularity", k) for k in ("users", "value", "upper")),
    ("challenger",),
    *(("challenger", k) for k in ("content", "train_end", "valid_end", "watermark")),
    ("champion",),
    *(("champion", k) for k in ("content", "train_end", "valid_end")),
    ("attributes",),
    ("attributes", 0),
    FAIRNESS,
    *((*FAIRNESS, kind) for kind in ("users", "items")),
    *((*FAIRNESS, kind, n) for kind in ("users", "items") for n in range(2)),
    *((*FAIRNESS, kind, n, k) for kind in ("users", "items") for n in range(2) for k in ("name", "users")),
    *((*FAIRNESS, kind, n, "attribute") for kind in ("users", "items") for n in range(2)),
    *((*WOMEN_ALONE, k) for k in ("others", "differences")),
    (*WOMEN_ALONE, "differences", "ndcg@10"),
    *(
        (*WOMEN_ALONE, "differences", "ndcg@10", k)
        for k in ("users", "others", "group", "rest", "value", "lower", "upper")
    ),
    *((*CHEAP, k) for k in ("groups", "exposure")),
    *((*CHEAP, "exposure", k) for k in ("users", "challenger", "reference")),
    *((*CHEAP, "exposure", k) for k in ("relative", "relative_low", "relative_high")),
    ("item_attributes",),
    ("item_attributes", 0),
    ("index",),
    ("index", "recall"),
    ("index", "recall_target"),
    ("parity",),
    ("parity", "retrieval"),
    ("parity", "ranking"),
]
BAD = {
    "None": None,
    "NaN": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "empty text": "",
    "empty mapping": {},
    "empty list": [],
    "a word": "plenty",
    "a list": [0.9],
    "an object": object(),
}


def test_a_better_challenger_passes():
    verdict = _decide(_good())
    assert verdict.status == "passed", verdict.failed
    assert [c.name for c in verdict.checks] == [
        "content",
        "protocol",
        "holdout",
        "users",
        "champion_trained_before_holdout",
        "not_worse_than_champion",
        "within_margin_of_champion",
        "coverage",
        "concentration",
        "better_than_popularity",
        "index_recall",
        "parity_retrieval",
        "parity_ranking",
        "slices",
        "slice cold users",
        "slice new items",
        "slice gender: F",
        "slice gender: M",
        "fairness",
        "quality gap gender: F",
        "quality gap gender: M",
        "exposure gap price: low",
        "exposure gap price: high",
    ]


def test_a_first_release_is_judged_against_popularity():
    verdict = _decide(_first())
    assert verdict.status == "passed", verdict.failed
    assert "not_worse_than_champion" not in {c.name for c in verdict.checks}
    assert "popularity's 0.0300" in next(
        c.detail for c in verdict.checks if c.name == "better_than_popularity"
    )


@pytest.mark.parametrize("what", BAD, ids=list(BAD))
@pytest.mark.parametrize("path", NEEDED, ids=lambda p: ".".join(map(str, p)))
def test_every_value_that_is_not_sound_refuses(path, what):
    if path[-1] in {"content", "metric", "name"} and what == "a word":
        pytest.skip("any word is a content hash, a metric's or a value's name")
    verdict = _decide(_set(_good(), path, BAD[what]))
    assert verdict.status == "refused"
    assert all(check.detail for check in verdict.failed)


@pytest.mark.parametrize("path", NEEDED, ids=lambda p: ".".join(map(str, p)))
def test_every_value_that_is_missing_refuses(path):
    raw = _good()
    raw = _set(raw, path, None) if len(path) == 1 else _delete(raw, path)
    assert _decide(raw).status == "refused"


@pytest.mark.parametrize("path", [p for p in NEEDED if len(p) > 1 and isinstance(p[-1], str)], ids=str)
def test_true_is_not_a_number(path):
    assert _decide(_set(_good(), path, True)).status == "refused"


CELLS = {
    "no inputs": ({}, {"content", "protocol", "holdout", "users", "slices"}),
    "significantly worse": (
        {(*ALL, "differences", "champion"): _difference(0.097, 0.1, spread=0.002)},
        {"not_worse_than_champion"},
    ),
    "beyond the margin, not significant": (
        {(*ALL, "differences", "champion"): _difference(0.0949, 0.1, spread=0.02)},
        {"within_margin_of_champion"},
    ),
    "within the margin, not significant": (
        {(*ALL, "differences", "champion"): _difference(0.0951, 0.1, spread=0.02)},
        set(),
    ),
    "popularity wins": (
        {(*ALL, "differences", "popularity"): _difference(0.05, 0.06, spread=0.002)},
        {"better_than_popularity"},
    ),
    "no better than popularity": (
        {(*ALL, "differences", "popularity"): _difference(0.05, 0.05)},
        {"better_than_popularity"},
    ),
    "leave-last-out": ({("evaluation", "protocol"): "leave_last_out"}, {"protocol"}),
    "trained past the holdout's start": (
        {("challenger", "train_end"): DAY.format(12)},
        {"holdout"},
    ),
    "tuned on the holdout": ({("challenger", "valid_end"): DAY.format(15)}, {"holdout"}),
    "champion's ranker saw the holdout": (
        {("champion", "valid_end"): DAY.format(11)},
        {"champion_trained_before_holdout"},
    ),
    "champion trained on the holdout": (
        {("champion", "train_end"): DAY.format(11)},
        {"champion_trained_before_holdout"},
    ),
    "champion of the same snapshot": (
        {("champion", "train_end"): DAY.format(9), ("champion", "valid_end"): DAY.format(10)},
        set(),
    ),
    "targets at the start": ({("evaluation", "targets", "first"): DAY.format(10)}, {"holdout"}),
    "targets after the watermark": ({("evaluation", "targets", "last"): DAY.format(21)}, {"holdout"}),
    "no time zone": (
        {("challenger", "valid_end"): "2026-03-10T00:00:00"},
        {"holdout", "champion_trained_before_holdout"},
    ),
    "another time zone, same instant": (
        {("challenger", "valid_end"): "2026-03-10T02:00:00+02:00"},
        set(),
    ),
    "coverage at the margin": ({("evaluation", "rankers", "funnel", "coverage"): 0.3}, set()),
    "coverage collapsed": ({("evaluation", "rankers", "funnel", "coverage"): 0.29}, {"coverage"}),
    "concentration at the margin": ({("evaluation", "rankers", "funnel", "concentration"): 0.875}, set()),
    "too concentrated": (
        {("evaluation", "rankers", "funnel", "concentration"): 0.88},
        {"concentration"},
    ),
    "coverage above 1": ({("evaluation", "rankers", "funnel", "coverage"): 1.1}, {"coverage"}),
    "broken index": ({("index", "recall"): 0.9499}, {"index_recall"}),
    "a target of nothing": ({("index", "recall_target"): 0.0}, {"index_recall"}),
    "a recall above 1": ({("index", "recall"): 1.5}, {"index_recall"}),
    "retrieval exported wrongly": ({("parity", "retrieval"): 1.1e-5}, {"parity_retrieval"}),
    "ranker exported wrongly": ({("parity", "ranking"): 0.4}, {"parity_ranking"}),
    "a negative difference of exports": ({("parity", "ranking"): -1e-9}, {"parity_ranking"}),
    "one broken slice": (
        {WOMEN: _slice("gender: F", 120, "gender", challenger=0.05)},
        {"slice gender: F"},
    ),
    "a slice within its margin": (
        {WOMEN: _slice("gender: F", 120, "gender", challenger=0.081)},
        set(),
    ),
    "a broken slice of too few": ({COLD: _slice("cold users", 19, challenger=0.01)}, set()),
    "an attribute not measured": ({("attributes",): ["gender", "age"]}, {"slices", "fairness"}),
    "an attribute not declared": ({("attributes",): []}, {"slices", "fairness"}),
    "an item attribute not measured": ({("item_attributes",): ["price", "studio"]}, {"fairness"}),
    "an item attribute not declared": ({("item_attributes",): []}, {"fairness"}),
    "no item attribute": ({("item_attributes",): [], (*FAIRNESS, "items"): []}, set()),
    "a group of users lost": ({(*FAIRNESS, "users"): [_group("gender: F", 120, "gender")]}, {"fairness"}),
    "others of a group lost": ({(*WOMEN_ALONE, "others"): 79}, {"fairness"}),
    "a group of items lost": ({(*FAIRNESS, "items"): [_items("price: low", 90, "price")]}, {"fairness"}),
    "a group of users twice": ({(*WOMEN_ALONE, "name"): "gender: M"}, {"fairness"}),
    "a group much worse off": (
        {WOMEN_ALONE: _group("gender: F", 120, "gender", quality=0.03)},
        {"quality gap gender: F"},
    ),
    "a group at its gap": ({WOMEN_ALONE: _group("gender: F", 120, "gender", quality=0.0501)}, set()),
    "a group beyond its gap by chance": (
        {WOMEN_ALONE: _group("gender: F", 120, "gender", quality=0.047)},
        set(),
    ),
    "a group measured on others": (
        {(*WOMEN_ALONE, "differences", "ndcg@10", "others"): 79},
        {"quality gap gender: F"},
    ),
    "a group hardly shown": (
        {CHEAP: _items("price: low", 90, "price", shown=0.01)},
        {"exposure gap price: low"},
    ),
    "a group shown little": ({CHEAP: _items("price: low", 90, "price", shown=0.11)}, set()),
    "a group hardly shown, by chance": ({CHEAP: _items("price: low", 90, "price", shown=0.06)}, set()),
    "a group hardly shown, however unsure its merit": (
        {CHEAP: _items("price: low", 90, "price", shown=0.01), (*CHEAP, "exposure", "upper"): 0.4},
        {"exposure gap price: low"},
    ),
    "a group without an interval": (
        {(*CHEAP, "exposure", "relative_high"): None},
        {"exposure gap price: low"},
    ),
    "a group that few want": ({CHEAP: _items("price: low", 19, "price", shown=0.0)}, set()),
    "exposure over others": ({(*CHEAP, "exposure", "users"): 199}, {"exposure gap price: low"}),
    "users of a slice lost": ({(*WOMEN, "users"): 119}, {"slices"}),
    "a slice twice": ({(*COLD, "name"): "new items"}, {"slices"}),
    "slice measured on others": (
        {(*WOMEN, "differences", "champion", "users"): 121},
        {"slice gender: F"},
    ),
    "a first release with a champion": ({("first_release",): True}, {"content"}),
}


@pytest.mark.parametrize("cell", CELLS, ids=list(CELLS))
def test_decision_table(cell):
    changes, failed = CELLS[cell]
    raw = _good() if changes else {}
    for path, value in changes.items():
        raw = _set(raw, path, value)
    verdict = _decide(raw)
    assert verdict.status == ("refused" if failed else "passed"), _reasons(verdict)
    assert failed <= set(_reasons(verdict))
    if changes and cell != "a first release with a champion":
        assert set(_reasons(verdict)) == failed


@pytest.mark.parametrize("users", [0, 1, 49])
def test_too_few_users_refuse(users):
    raw = _good()
    raw["evaluation"]["slices"][0] = _slice("all", users)
    assert "users" in _reasons(_decide(raw))


def test_one_user_has_no_bounds_and_refuses():
    raw = _set(_good(), (*ALL, "differences", "champion", "upper"), None)
    verdict = _decide(raw)
    assert _reasons(verdict) == ["not_worse_than_champion", "within_margin_of_champion"]
    assert "upper: missing" in verdict.failed[0].detail


def test_many_slices_do_not_refuse_by_chance():
    """A slice that would refuse alone is within chance as one of forty."""
    raw = _good()
    raw["evaluation"]["slices"][1:2] = [_slice("cold users", 40)]
    raw["attributes"] = ["city"]
    raw["evaluation"]["fairness"]["items"], raw["item_attributes"] = [], []
    cities = [_slice(f"city: {n}", 20, "city") for n in range(40)]
    cities[7] = _slice("city: 7", 20, "city", challenger=0.0755)
    cities[7]["differences"]["champion"] = _difference(0.0755, 0.1, 20, spread=0.02)
    raw["evaluation"]["slices"] = [
        _slice("all", 800),
        _slice("cold users", 40),
        _slice("new items", 0),
        *cities,
    ]
    raw["evaluation"]["fairness"]["users"] = [
        _group(city["name"], 20, "city", everybody=800) for city in cities
    ]
    assert _decide(raw).status == "passed"
    alone = _set(raw, ("attributes",), [])
    alone["evaluation"]["fairness"]["users"] = []
    alone["evaluation"]["slices"] = [
        _slice("all", 800),
        _slice("cold users", 20, challenger=0.0755),
        _slice("new items", 0),
    ]
    alone["evaluation"]["slices"][1]["differences"]["champion"] = _difference(0.0755, 0.1, 20, spread=0.02)
    assert _reasons(_decide(alone)) == ["slice cold users"]


def test_a_first_release_with_a_slice_worse_than_popularity_is_refused():
    raw = _first()
    raw["evaluation"]["slices"][3]["differences"]["popularity"] = _difference(0.02, 0.03, 120)
    assert _reasons(_decide(raw)) == ["slice gender: F"]


def test_the_same_content_is_unchanged_and_nothing_else():
    verdict = _decide(_set(_good(), ("champion", "content"), "c2"))
    assert verdict.status == "unchanged"
    assert [c.name for c in verdict.checks] == ["content"]


def test_the_verdict_says_the_smallest_loss_it_could_have_seen():
    check = next(c for c in _decide(_good()).checks if c.name == "not_worse_than_champion")
    assert "0.0060 (6.0% of the champion's)" in check.detail
    assert check.value == pytest.approx(0.005)
    assert check.interval == (pytest.approx(0.001), pytest.approx(0.009))


@pytest.mark.parametrize("make", [_good, _first])
def test_deleting_any_one_thing_never_makes_a_pass(make):
    """Every key and entry at every depth, from inputs that each rule refuses."""
    refusals = [
        changes for name, (changes, failed) in CELLS.items() if changes and failed and "first" not in name
    ]
    for changes in refusals:
        raw = make()
        try:
            for path, value in changes.items():
                raw = _set(raw, path, value)
        except (KeyError, TypeError):
            continue
        if _decide(raw).status != "refused":
            continue
        for path in _evidence(raw):
            smaller = _set(raw, path, None) if len(path) == 1 else _delete(raw, path)
            assert _decide(smaller).status == "refused", (changes, path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_deleting_several_things_never_makes_a_pass(data):
    cell = data.draw(st.sampled_from([n for n, (c, f) in CELLS.items() if c and f]))
    raw = _good()
    for path, value in CELLS[cell][0].items():
        raw = _set(raw, path, value)
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(_evidence(raw)))
        raw = _set(raw, path, None) if len(path) == 1 else _delete(raw, path)
        assert _decide(raw).status == "refused"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.sampled_from(["", "all", "temporal"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["slices", "name", "users", "content", "recall"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({field.name: JSON for field in dataclasses.fields(GateInputs)}))
def test_whatever_is_given_the_gate_answers_and_never_passes(raw):
    assert _decide(raw).status != "passed"


def _measured(make_targets, shares):
    """Rankers that name the target first for a share of 120 users, measured on two slices by gender."""
    rng = np.random.default_rng(5)
    targets = make_targets([(f"u{n}", int(rng.integers(0, 40)), []) for n in range(120)])
    lucky = rng.random(120)

    def ranker(share):
        def rank(chosen, k):
            ranked = np.stack([rng.permutation(40)[:k] for _ in range(len(chosen))]).astype(np.int32)
            for row in np.flatnonzero(lucky[chosen.rows] < share):
                rest = ranked[row][ranked[row] != chosen.items[row]][: k - 1]
                ranked[row] = np.concatenate([[chosen.items[row]], rest])
            return ranked

        return rank

    evaluation = measure(
        targets,
        {name: ranker(share) for name, share in shares.items()},
        IdMap.of([str(n) for n in range(40)]),
        np.full(40, 9, np.int64),
        EvaluationConfig(ks=(5,), k=5, bootstrap=200, cold_user_history=0),
        protocol="temporal",
        attributes={"gender": {f"u{n}": "FM"[n % 2] for n in range(120)}},
        item_attributes={"price": ["low" if n % 3 else "high" for n in range(40)]},
    )
    raw = _good() | {"evaluation": evaluation.record.model_dump(mode="json")}
    raw["challenger"] = {
        "content": "c2",
        "train_end": "1970-01-01T00:00:01Z",
        "valid_end": "1970-01-01T00:00:02Z",
        "watermark": "1970-01-02T00:00:00Z",
    }
    raw["champion"] |= {"train_end": "1970-01-01T00:00:01Z", "valid_end": "1970-01-01T00:00:02Z"}
    return raw


def test_a_measured_evaluation_is_what_the_gate_reads(make_targets):
    better = _measured(make_targets, {"funnel": 0.7, "champion": 0.5, "popularity": 0.2})
    assert _decide(better).status == "passed", _decide(better).failed
    worse = _measured(make_targets, {"funnel": 0.3, "champion": 0.5, "popularity": 0.2})
    assert {"not_worse_than_champion", "within_margin_of_champion", "slice gender: F"} <= set(
        _reasons(_decide(worse))
    )


def test_inputs_are_frozen_and_a_verdict_reads_back():
    inputs = GateInputs(**_good())
    with pytest.raises(dataclasses.FrozenInstanceError):
        inputs.parity = {}
    verdict = decide(inputs, CONFIG)
    assert Verdict.from_json(verdict.to_json()) == verdict
