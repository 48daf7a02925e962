import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.clock import from_microseconds  # noqa: E402
from slate.config import RetrievalConfig  # noqa: E402
from slate.data.sequences import UserLog  # noqa: E402
from slate.errors import ModelError  # noqa: E402
from slate.retrieval.batches import Examples  # noqa: E402
from slate.retrieval.export import export  # noqa: E402
from slate.retrieval.query import Query, QueryEncoder, encode_queries  # noqa: E402
from slate.retrieval.train import Trainer  # noqa: E402
from slate.retrieval.training_data import TrainingData  # noqa: E402
from slate.retrieval.two_tower import TwoTower  # noqa: E402

TARGETS = ["like", "view"]


@pytest.fixture(scope="module")
def data(cycle_splits: Path) -> TrainingData:
    return TrainingData.open(cycle_splits)


@pytest.fixture(scope="module")
def model(data: TrainingData, config: RetrievalConfig) -> TwoTower:
    examples = Examples.of(data.split.train_log(), data.features, TARGETS, data.split.user_features)
    short = config.model_copy(update={"epochs": 1})
    return (
        Trainer(short, data.features, data.split.catalogue, examples, data.targets("valid", TARGETS, 9, 1))
        .run()
        .model
    )


def test_a_moved_export_answers_as_the_model_in_memory(
    data: TrainingData, model: TwoTower, config: RetrievalConfig, tmp_path: Path
) -> None:
    queries = data.parity_queries(TARGETS, 40, 1)
    assert len(queries) == 40
    made, moved = tmp_path / "made", tmp_path / "elsewhere" / "moved"
    made.mkdir()
    export(model, encode_queries(queries, data.features, config.history), made)
    moved.parent.mkdir()
    shutil.move(made, moved)

    parity = dict(np.load(moved / "parity.npz"))
    in_memory = parity.pop("embedding")
    assert in_memory.shape == (40, 16)
    signature = tf.saved_model.load(str(moved / "query_tower")).signatures["serving_default"]
    exported = signature(**{name: tf.constant(array) for name, array in parity.items()})["embedding"].numpy()
    np.testing.assert_allclose(exported, in_memory, atol=1e-5)

    encoder = QueryEncoder.open(moved / "query_tower", data.features, config.history)
    np.testing.assert_allclose(encoder.embed(queries), in_memory, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(queries[3:5]), in_memory[3:5], atol=1e-5)
    assert encoder.embed([]).shape == (0, 16)
    mixed = [replace(query, history=query.history.last(n % 5)) for n, query in enumerate(queries)]
    alone = np.concatenate([encoder.embed([query]) for query in mixed])
    np.testing.assert_allclose(encoder.embed(mixed), alone, atol=1e-5)
    np.testing.assert_allclose(encoder.answer(parity)["embedding"], in_memory, atol=1e-5)
    table = np.load(moved / "candidate_embeddings.npy")
    np.testing.assert_array_equal(table, model.candidate_embeddings())
    assert table.shape == (14, 16)
    assert table.dtype == np.float32


def test_batched_training_states_and_served_queries_agree(
    data: TrainingData, model: TwoTower, config: RetrievalConfig
) -> None:
    """The path that training takes over all positions gives what one query alone gives."""
    log = data.split.train_log()
    user = 4
    history = log.history(user)
    table = model.candidate_embeddings()
    items, events = (
        tf.constant(history.items[None] + 1),
        tf.constant(history.events[None].astype(np.int32)),
    )
    states = model.query_tower.states(items, events, lambda rows: tf.gather(table, rows))
    for seen in (1, 4, len(history.items)):
        served = model.query_tower.states(
            items[:, :seen], events[:, :seen], lambda rows: tf.gather(table, rows), last_only=True
        )
        np.testing.assert_allclose(served[0, 0], states[0, seen], atol=1e-5)


def test_events_planted_at_or_after_the_request_change_no_embedding(
    data: TrainingData, model: TwoTower, config: RetrievalConfig
) -> None:
    table = data.split.part("train")
    at = int(data.split.train_log().times.max()) // 2 + int(data.split.train_log().times.min()) // 2
    first = table.slice(0, 1).to_pylist()[0]
    planted = [
        first | {"item_id": f"i{n:02d}", "timestamp": from_microseconds(at + n * 1_000_000)} for n in range(3)
    ]
    longer = pa.concat_tables([table, pa.Table.from_pylist(planted, schema=table.schema)])
    embed = tf.function(model.embed)

    def answers(rows: pa.Table, before: int) -> np.ndarray:
        log = UserLog.from_table(rows, data.split.catalogue.ids, data.features.events)
        queries = [Query(log.history(user, before), before) for user in range(len(log.users))]
        encoded = encode_queries(queries, data.features, config.history)
        return embed({n: tf.constant(a) for n, a in encoded.items()}, model.candidate_embeddings()).numpy()

    np.testing.assert_array_equal(answers(table, at), answers(longer, at))
    assert np.abs(answers(table, at + 5_000_000) - answers(longer, at + 5_000_000)).max() > 1e-3


def test_another_feature_space_is_refused(
    data: TrainingData, model: TwoTower, config: RetrievalConfig, tmp_path: Path
) -> None:
    export(model, encode_queries(data.parity_queries(TARGETS, 2, 1), data.features, 4), tmp_path)
    fewer = type(data.features)(data.features.items, (), (), data.features.events)
    with pytest.raises(ModelError, match="user_age"):
        QueryEncoder.open(tmp_path / "query_tower", fewer, 4)
