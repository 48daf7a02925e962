"""The exported ranker says of an item that was never trained on what the model says of an unseen one."""

from pathlib import Path

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

tf = pytest.importorskip("tensorflow")

from slate.config import Event, RankingConfig  # noqa: E402
from slate.ranking.scorer import ITEM, POPULARITY, VECTOR, Ranker  # noqa: E402
from slate.ranking.served import ServedRanker  # noqa: E402
from slate.retrieval.query import encode_queries  # noqa: E402
from tests.ranking.test_model import FEATURES, inputs, items, model, randomised  # noqa: E402


@pytest.mark.parametrize("kind", ["multitask", "logistic"])
def test_a_new_item_is_an_unseen_one_of_its_content(kind: str, tmp_path: Path) -> None:
    trained = randomised(model(kind), inputs(length=4, width=3))
    counts, content = [3, 0, 0, 9], [2, 3, 2, 3]
    known = items(counts, content)
    served = ServedRanker(
        trained,
        RankingConfig(model=kind, dim=4, hidden=(8,)),  # type: ignore[arg-type]
        [Event(weight=1.0) for _ in FEATURES.events],
        encode_queries([], FEATURES, 4),
    )
    served.save(tmp_path)
    unseen = [2, 1]
    given = {f"item_{name}": tf.constant(array[unseen]) for name, array in known.content.items()}
    answer = tf.saved_model.load(str(tmp_path)).signatures[ITEM](
        embedding=tf.constant(known.embeddings[unseen]), **given
    )
    np.testing.assert_allclose(answer[VECTOR].numpy(), trained.items.table()[unseen], atol=1e-6)
    np.testing.assert_allclose(answer[POPULARITY].numpy(), trained.popularity[unseen], atol=1e-6)

    ranker = Ranker.open(tmp_path, FEATURES, spare=3)
    assert (ranker.size, ranker.spare) == (7, 3)
    encoded = {name: array[unseen] for name, array in known.content.items()}
    ranker.put_items(np.asarray([5, 4], np.int32), encoded, known.embeddings[unseen])
    np.testing.assert_allclose(
        ranker._model.item_table.numpy()[[5, 4]], trained.items.table()[unseen], atol=1e-6
    )
    np.testing.assert_allclose(
        ranker._model.popularity.numpy()[[5, 4]], trained.popularity[unseen], atol=1e-6
    )
    assert Ranker.open(tmp_path, FEATURES).size == 4
