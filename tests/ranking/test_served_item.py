"""The exported ranker says of an item that was never trained on what the model says of an unseen one."""

from pathlib import Path

import numpy as np
import pytest

import slate  # noqa: F401  (sets the Keras version before TensorFlow is imported)

pytest.importorskip("tensorflow")

from slate.config import Event, RankingConfig
from slate.ranking.scorer import Ranker
from slate.ranking.served import ServedRanker
from slate.retrieval.query import encode_queries
from tests.ranking.test_model import FEATURES, inputs, items, model, randomised


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
    encoded = {name: array[unseen] for name, array in known.content.items()}
    before = Ranker.open(tmp_path, FEATURES)
    assert (before.size, before.spare) == (4, 0)
    ranker = Ranker.open(tmp_path, FEATURES, spare=3)
    assert (ranker.size, ranker.spare) == (7, 3)
    ranker.put_items(np.asarray([5, 4], np.int32), encoded, known.embeddings[unseen])
    np.testing.assert_allclose(ranker._vectors[[5, 4]], trained.items.table()[unseen], atol=1e-6)
    np.testing.assert_allclose(ranker._popularity[[5, 4]], trained.popularity[unseen], atol=1e-6)
    np.testing.assert_array_equal(ranker._vectors[:4], before._vectors)
    assert not ranker._vectors[6].any()
