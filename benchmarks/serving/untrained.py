"""Models that never learnt anything, written down by the code that writes trained ones.

Item vectors are their cluster's with some noise, so that the index has neighbourhoods to find; all other
weights are as they were initialised. What a model computes does not depend on what it has learnt.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf

from benchmarks.serving.synthetic import Size, clusters_of, dataset_config
from slate.config import RankingConfig, RetrievalConfig
from slate.data.features import EncodedArray
from slate.data.holdout import Split
from slate.ranking.model import Items, RankingModel, Scale
from slate.ranking.scorer import CANDIDATES, RANKS, RETRIEVAL_SCORES
from slate.ranking.served import ServedRanker
from slate.retrieval.export import export
from slate.retrieval.query import Query, encode_queries
from slate.retrieval.train import batch_shape
from slate.retrieval.two_tower import TwoTower

_NOISE: Final = 0.6
_QUERIES: Final = 512
_RESIDUAL: Final = 0.05
_PRIOR: Final = -2.0


def write_towers(split: Split, size: Size, config: RetrievalConfig, seed: int, out: Path) -> None:
    """Write the **two_tower** folder ``out``."""
    tf.keras.utils.set_random_seed(seed)
    counts = split.catalogue.train_counts
    model = TwoTower(config, split.features, split.catalogue, batch_shape(config), counts)
    rng = np.random.default_rng([seed, 2])
    centres = rng.standard_normal((size.clusters, config.dim)).astype(np.float32)
    vectors = centres[clusters_of(size, seed)]
    vectors += _NOISE * rng.standard_normal(vectors.shape, dtype=np.float32)
    ids = np.concatenate([np.zeros((1, config.dim), np.float32), vectors])
    model.candidate_tower.ids.assign(ids * config.dim**-0.5)
    out.mkdir(parents=True)
    export(model, encode_queries(_queries(split), split.features, config.history), out)


def write_ranker(split: Split, config: RankingConfig, embeddings: Path, seed: int, out: Path) -> None:
    """Write the **ranker**'s model folder ``out``."""
    tf.keras.utils.set_random_seed(seed)
    features, catalogue = split.features, split.catalogue
    items = Items(catalogue.encode(features), catalogue.train_counts, np.load(embeddings))
    priors = np.zeros(len(features.events), np.float32)
    trained = np.ones(len(features.events) + 1, np.bool_)
    model = RankingModel(config, features, items, Scale(), _PRIOR, priors, trained)
    encoded = encode_queries(_queries(split), features, config.history)
    _build(model, encoded)
    served = ServedRanker(model, config, list(dataset_config().events.values()), encoded)
    served.save(out)


def _build(model: RankingModel, encoded: Mapping[str, EncodedArray]) -> None:
    """Make the layers' weights: by a first call, of one query with one candidate."""
    inputs = {name: tf.constant(array[:1]) for name, array in encoded.items()}
    zero = tf.zeros([1, 1])
    model({**inputs, CANDIDATES: tf.ones([1, 1], tf.int32), RETRIEVAL_SCORES: zero, RANKS: zero})
    residual = model.get_layer("residual")
    residual.set_weights(
        [_RESIDUAL * np.random.default_rng(1).standard_normal(w.shape) for w in residual.get_weights()]
    )


def _queries(split: Split) -> list[Query]:
    """The next request of some users, at the end of the data."""
    log = split.train_log()
    return [
        Query(history=log.history_of(user), at=int(log.times.max()) + 1, user=split.user_features[user])
        for user in log.users.ids[:: max(1, len(log.users) // _QUERIES)][:_QUERIES]
    ]
