"""The same user at the same instant has the same features in training, in evaluation and when served."""

import json
import random
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slate.clock import microseconds
from slate.config import RankingConfig, RetrievalConfig
from slate.data.catalogue import Catalogue
from slate.evaluation.holdout import Holdout, asks_for
from slate.ranking.occasions import gather, retrieve
from slate.retrieval.batches import Batch, Examples
from slate.retrieval.index import open_index
from slate.retrieval.query import QueryEncoder, encode_queries
from slate.retrieval.train import batch_shape
from slate.retrieval.training_data import TrainingData
from tests.features import asking
from tests.features.oracle import Arrays, Oracle, Row, natural, same
from tests.features.over_http import client_of
from tests.features.questions import questions
from tests.features.serving import Serving, inputs_of, read_request
from tests.features.world import TARGETS, UNLISTED_USER, World

Key = tuple[str, str, str, int]


class Served:
    """Every interaction's moment, asked over the serving path with what preceded it as the history."""

    def __init__(self, oracle: Oracle, serving: Serving) -> None:
        generator = random.Random(3)
        self.rows, self._oracle = oracle.rows, oracle
        self.histories = [oracle.before(row.user, row.at) for row in self.rows]
        encoders = oracle.features["context"]
        self.requests = [
            asking.request(generator, encoders, row.user, row.at, row.context, history)
            for row, history in zip(self.rows, self.histories, strict=True)
        ]
        self.answers = serving.serve_features(self.requests)

    def expected(self, length: int) -> Arrays:
        return self._oracle.arrays(
            self._oracle.query(history, row.at, row.user, row.context, length)
            for row, history in zip(self.rows, self.histories, strict=True)
        )

    def inputs(self, model: str, places: Any = slice(None)) -> Arrays:
        return {name: array[places] for name, array in inputs_of(self.answers[model]).items()}

    @cached_property
    def places(self) -> Mapping[Key, int]:
        return {(row.user, row.item, row.event, row.at): place for place, row in enumerate(self.rows)}

    @cached_property
    def moments(self) -> Mapping[tuple[str, int], list[int]]:
        found: dict[tuple[str, int], list[int]] = {}
        for place, row in enumerate(self.rows):
            found.setdefault((row.user, row.at), []).append(place)
        return found

    def place(self, user: str, at: int, context: Mapping[str, Any]) -> int:
        """The row of a moment with this context."""
        known = {n: v for n, v in context.items() if n in self.rows[0].context}
        return next(p for p in self.moments[user, at] if _alike(self.rows[p].context, known))


def _alike(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return all(left[name] == value for name, value in right.items())


def user_of(features: Mapping[str, Any]) -> str:
    handle = features.get("handle")
    return UNLISTED_USER if handle is None else str(handle).removeprefix("@")


@pytest.fixture(scope="module")
def served(oracle: Oracle, serving: Serving) -> Served:
    return Served(oracle, serving)


def test_ten_thousand_served_rows_are_what_the_oracle_works_out(served: Served) -> None:
    assert len(served.rows) >= 10_000
    assert {row.part for row in served.rows} == {"train", "valid", "test", "unseen_users"}
    lengths = np.asarray([len(history) for history in served.histories])
    assert (lengths == 0).sum() > 100
    assert (lengths > 24).sum() > 1_000
    same(served.inputs("tower"), served.expected(16))
    same(served.inputs("ranker"), served.expected(24))


def test_ten_thousand_rows_over_http_are_the_same(
    served: Served, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(lambda: serving.recommender) as client:
        monkeypatch.setattr(serving, "client", client)
        answers = serving.serve_features(served.requests)
    assert len(answers["tower"]["embedding"]) == len(served.rows) >= 10_000
    for model in ("tower", "ranker"):
        same(inputs_of(answers[model]), served.inputs(model))


def test_the_rows_are_varied(served: Served) -> None:
    """Every awkward case is really among them: each code, gaps, ties, and events of every kind."""
    inputs = served.inputs("ranker")
    assert set(np.unique(inputs["history_events"])) == {0, 1, 2, 3, 4}
    ties = (np.diff(inputs["history_ages"], axis=1) == 0) & (inputs["history_items"][:, 1:] > 0)
    assert ties[:, -1].sum() > 100
    for name, array in inputs.items():
        if array.dtype == np.float32 and not name.startswith("history_"):
            assert 0 < array[:, 1].mean() < 1 or name == "user_height", name
            assert len(np.unique(array[:, 0])) > 1, name
        elif not name.startswith("history_"):
            assert len(np.unique(array)) > 1, name
            assert (array == 0).any() or name == "user_town", name
    assert not [name for name in inputs if name.endswith(("consent", "minor", "gender", "faith"))]


def test_the_tower_is_trained_on_the_same_rows(world: World, oracle: Oracle, served: Served) -> None:
    data = TrainingData.open(world.folders["splits"])
    config = RetrievalConfig.model_validate(world.config["retrieval"])
    examples = Examples.of(data.split.train_log(), data.features, TARGETS, data.split.user_features)
    handles = next(e["vocabulary"] for e in oracle.features["users"] if e["name"] == "handle")
    trained = {user: [r for r in life if r.part == "train"] for user, life in oracle.lives.items()}
    asked, places, found = [], [], []
    for batch in examples.batches(batch_shape(config), config.history, [config.seed, 1]):
        for query, items in questions(batch):
            handle = int(batch["user_handle"][batch["query_row"][query]])
            user = UNLISTED_USER if handle == 0 else handles[handle - 2].removeprefix("@")
            life = trained[user]
            ids = {oracle.items[item]["item_id"] for item in items}
            target = next(r for r in life if r.item in ids)
            assert ids == {r.item for r in first_meetings(life) if r.at == target.at}
            asked.append((user, target.at))
            places.append(served.places[user, target.item, target.event, target.at])
            found.append(training_row(batch, query))
            check_reach(found[-1], served.histories[places[-1]], len(life) <= config.history)
    wanted = {(user, r.at) for user, life in trained.items() for r in first_meetings(life)}
    assert len(asked) == len(wanted) > 3_000
    assert set(asked) == wanted
    expected = served.inputs("tower", places)
    given = {name: np.stack([row[name] for row in found]) for name in found[0]}
    # A window may begin later than the served history; what it holds is the end of it.
    held = given["history_items"] > 0
    for name in ("history_items", "history_events"):
        expected[name] = expected[name] * held
    expected["history_ages"] = expected["history_ages"][:, -1]
    same(given, expected)


def training_row(batch: Batch, query: int) -> Arrays:
    """What the tower is given for one query of a training batch; of the ages only the last counts."""
    row, column = batch["query_row"][query], batch["query_column"][query]
    given = {"history_ages": batch["query_elapsed"][query]}
    for name in ("history_items", "history_events"):
        given[name] = np.concatenate([np.zeros(16 - column, np.int32), batch[name][row, :column]])
    for name, array in batch.items():
        if name.startswith("user_"):
            given[name] = array[row]
        elif name.startswith("context_"):
            given[name] = array[query]
    return given


def check_reach(given: Arrays, history: list[Row], whole: bool) -> None:
    """A query sees all of a history that fits in one window, and at least the last of a longer one."""
    seen = np.count_nonzero(given["history_items"])
    assert seen == len(history) if whole else min(len(history), 1) <= seen <= 16


def first_meetings(life: list[Row]) -> list[Row]:
    """Interactions with items new to their user, whose event is a target."""
    met: set[str] = set()
    return [r for r in life if r.item not in met and not met.add(r.item) and r.event in TARGETS]  # type: ignore[func-returns-value]


def check_training_query(batch: Batch, query: int, served: Arrays, whole: bool) -> None:
    """A training query sees the end of the served history, all of it where the user fits in one window."""
    row, column = batch["query_row"][query], batch["query_column"][query]
    items, events = (batch[name][row, :column] for name in ("history_items", "history_events"))
    items, events = items[items > 0], events[items > 0]
    length = np.count_nonzero(served["history_items"])
    assert len(items) == length if whole else min(length, 1) <= len(items) <= length
    np.testing.assert_array_equal(items, served["history_items"][16 - len(items) :])
    np.testing.assert_array_equal(events, served["history_events"][16 - len(events) :])
    np.testing.assert_allclose(
        batch["query_elapsed"][query], served["history_ages"][-1], rtol=1e-5, atol=1e-5
    )
    for name, array in served.items():
        if name.startswith("user_"):
            np.testing.assert_allclose(batch[name][row], array, rtol=1e-5, atol=1e-5, err_msg=name)
        elif name.startswith("context_"):
            np.testing.assert_allclose(batch[name][query], array, rtol=1e-5, atol=1e-5, err_msg=name)


def test_the_tower_is_validated_on_the_same_rows(world: World, served: Served) -> None:
    config = RetrievalConfig.model_validate(world.config["retrieval"])
    data = TrainingData.open(world.folders["splits"])
    targets = data.targets("valid", TARGETS, config.validation_targets, config.seed)
    assert len(targets) > 1_000
    encoded = targets.encode(data.features, config.history)
    places = [served.place(user_of(q.user), q.at, q.context) for q in targets.queries]
    stacked = {name: np.concatenate([chunk[name] for chunk in encoded]) for name in encoded[0]}
    same(stacked, served.inputs("tower", places))


def test_the_ranker_is_trained_on_the_same_rows_and_candidates(world: World, served: Served) -> None:
    config = RankingConfig.model_validate(world.config["ranking"])
    split = world.split
    occasions = gather(split)
    assert len(occasions) > 700
    places = [
        served.place(user, q.at, q.context)
        for user, q in zip(occasions.users, occasions.queries, strict=True)
    ]
    same(encode_queries(occasions.queries, split.features, config.history), served.inputs("ranker", places))
    for number, (user, query) in enumerate(zip(occasions.users, occasions.queries, strict=True)):
        own = occasions.items[occasions.offsets[number] : occasions.offsets[number + 1]]
        met = set(split.catalogue.ids.to_ids(own))
        rows = [served.rows[place] for place in served.moments[user, query.at]]
        first = min((row for row in rows if row.item in met), key=lambda row: (row.item, row.event))
        assert _alike(first.context, query.context)
    tower = world.folders["two_tower"]
    encoder = QueryEncoder.open(tower / "query_tower", split.features, 16)
    embeddings = np.load(tower / "candidate_embeddings.npy")
    pools = retrieve(occasions, encoder, open_index(world.folders["index"]), embeddings, config.candidates)
    given = served.answers["ranker"]
    for query, place in enumerate(places):
        size = pools.lengths[query]
        offline = dict(zip(pools.rows[query, :size], pools.scores[query, :size], strict=True))
        online = dict(zip(given["candidates"][place] - 1, given["retrieval_scores"][place], strict=True))
        online.pop(-1, None)
        assert offline.keys() == online.keys()
        assert [online[row] for row in offline] == pytest.approx(list(offline.values()), rel=1e-5, abs=1e-5)


def test_the_holdout_is_measured_on_the_same_rows(world: World, serving: Serving, served: Served) -> None:
    holdout = Holdout.open(world.folders["release"] / "holdout")
    table = holdout.targets(TARGETS)
    asks = asks_for(serving.recommender, holdout, table)
    assert len(asks) > 700
    places = [
        served.places[r["user_id"], r["item_id"], r["event"], microseconds(r["timestamp"])]
        for r in table.select(["user_id", "item_id", "event", "timestamp"]).to_pylist()
    ]
    features = world.split.features
    for model, length in (("tower", 16), ("ranker", 24)):
        encoded = encode_queries([ask.query for ask in asks], features, length)
        same(encoded, served.inputs(model, places))


def test_released_users_are_looked_up_as_the_splits_know_them(
    world: World, oracle: Oracle, serving: Serving
) -> None:
    """Without a history in the request: everybody, also those who never did anything, and strangers."""
    generator = random.Random(8)
    watermark = microseconds(datetime.fromisoformat(world.split.record["watermark"]))
    strangers = ["", "nobody", "u1 ", "U1", "ünï", None]
    asked = [
        (user, watermark + generator.choice((1, 10**6, 90 * 86_400 * 10**6)), generator.choice(oracle.rows))
        for user in [*oracle.users, *strangers]
    ]
    assert len(asked) > 700
    encoders = oracle.features["context"]
    answers = serving.serve_features(
        [asking.request(generator, encoders, user, at, row.context) for user, at, row in asked]
    )
    for model, length in (("tower", 16), ("ranker", 24)):
        expected = oracle.arrays(
            oracle.query(oracle.before(user, at) if user else [], at, user, row.context, length)
            for user, at, row in asked
        )
        same(inputs_of(answers[model]), expected)
        lengths = np.count_nonzero(expected["history_items"], axis=1)
        assert {0, 1, length} <= set(lengths.tolist())


def test_strangers_who_bring_a_history_have_no_features_of_their_own(
    oracle: Oracle, serving: Serving
) -> None:
    generator = random.Random(9)
    rows = generator.sample(oracle.rows, 500)
    asked = [(generator.choice(["stranger, ø", None]), row, oracle.before(row.user, row.at)) for row in rows]
    encoders = oracle.features["context"]
    answers = serving.serve_features(
        [asking.request(generator, encoders, user, row.at, row.context, past) for user, row, past in asked]
    )
    for model, length in (("tower", 16), ("ranker", 24)):
        expected = oracle.arrays(
            oracle.query(past, row.at, user, row.context, length) for user, row, past in asked
        )
        same(inputs_of(answers[model]), expected)


def test_items_have_the_same_features_in_both_models_and_in_the_release(
    world: World, oracle: Oracle, serving: Serving
) -> None:
    released = Catalogue.open(world.folders["release"])
    assert released.ids.ids == world.split.catalogue.ids.ids == tuple(oracle.places)
    expected = oracle.item_arrays()
    same(released.encode(serving.recommender.features), expected)
    same(world.split.catalogue.encode(world.split.features), expected)
    assert serving.recommender.index.size == serving.recommender.ranker.size == len(oracle.items)


def test_released_models_answer_as_the_trained_ones_did(
    world: World, served: Served, serving: Serving
) -> None:
    """The rows whose answers were recorded while the models were in memory, asked over the serving path."""
    recorded, places = recorded_rows(world.folders["two_tower"], served, "tower")
    answers = served.answers["tower"]["embedding"][places]
    np.testing.assert_allclose(answers, recorded["embedding"], rtol=1e-5, atol=1e-5)
    recorded, places = recorded_rows(world.folders["ranker"], served, "ranker")
    queries = [serving.recommender.ask(read_request(served.requests[place])).query for place in places]
    lists = [row[row > 0] - 1 for row in recorded["candidates"]]
    scores = [row[: len(own)] for row, own in zip(recorded["retrieval_scores"], lists, strict=True)]
    found = serving.recommender.ranker.score(queries, lists, scores)
    for name in ("score", "probabilities", "value"):
        array = getattr(found, name)
        np.testing.assert_allclose(array, recorded[name][:, : array.shape[1]], rtol=1e-5, atol=1e-5)


def recorded_rows(folder: Path, served: Served, model: str) -> tuple[Arrays, list[int]]:
    """What training recorded of a model, and the served rows that have the same features."""
    with np.load(folder / "parity.npz") as stored:
        recorded = {name: stored[name] for name in stored.files}
    given = served.inputs(model)
    by_row = {fingerprint(given, place): place for place in range(len(served.rows))}
    places = [by_row[fingerprint(recorded, row)] for row in range(len(recorded["history_items"]))]
    assert len(places) == 256
    same(inputs_of(recorded), served.inputs(model, places))
    return recorded, places


def fingerprint(arrays: Arrays, row: int) -> bytes:
    """The codes in a row of inputs, which tell these rows apart."""
    return b"".join(
        arrays[name][row].tobytes() for name in sorted(inputs_of(arrays)) if arrays[name].dtype == np.int32
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.datetimes().map(datetime.isoformat)
    | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_request_brings_the_features_are_finite(
    oracle: Oracle, serving: Serving, data: st.DataObject
) -> None:
    names = [encoder["name"] for encoder in oracle.features["context"]]
    context = data.draw(st.dictionaries(st.sampled_from(names), JSON))
    request = json.dumps({"user_id": "u1", "at": "2025-06-01T00:00:00Z", "context": context})
    answers = serving.serve_features([request])
    for model in answers.values():
        for name, array in model.items():
            assert np.isfinite(array).all(), name


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_history_in_any_order_is_encoded_as_training_would(
    oracle: Oracle, serving: Serving, data: st.DataObject
) -> None:
    """Histories that nobody ever had, ties in time and unknown items included."""
    items = st.sampled_from([*oracle.places, "nowhere", "映画"])
    events = st.sampled_from([*oracle.features["events"], "sneeze"])
    moments = st.integers(0, 5).map(lambda second: 1_740_000_000_000_000 + second * 1_000_000)
    made = st.builds(Row, st.just("train"), st.just("u1"), items, events, moments, st.just({}))
    history = data.draw(st.lists(made, max_size=40))
    at = 1_740_000_000_000_000 + data.draw(st.integers(6_000_000, 10**13))
    generator = random.Random(data.draw(st.integers(0, 99)))
    known = [row for row in history if row.event in oracle.features["events"]]
    known.sort(key=lambda row: (row.at, natural(row.item), row.event))
    answers = serving.serve_features([asking.request(generator, [], "u1", at, {}, history)])
    for model, length in (("tower", 16), ("ranker", 24)):
        same(inputs_of(answers[model]), oracle.arrays([oracle.query(known, at, "u1", {}, length)]))


def test_bare_item_ids_count_as_the_mildest_target_event_a_minute_apart(
    oracle: Oracle, serving: Serving
) -> None:
    """watch weighs 1, like 2, share 3; hide is no target."""
    at = datetime.fromisoformat("2025-06-01T00:00:00Z")
    serving.recommender.recommend(history=["7", "gone", "007"], at=at)
    given = serving.last("tower")
    assert given["history_items"][0].tolist() == [oracle.places["7"] + 1, oracle.places["007"] + 1]
    watch = oracle.features["events"].index("watch") + 1
    assert given["history_events"][0].tolist() == [watch, watch]
    np.testing.assert_allclose(given["history_ages"][0], [np.log(181), np.log(61)], rtol=1e-6)
