"""Explain a trained ranker by requests that it was not fitted on."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.config import RankingConfig
from slate.data.features import EncodedArray, FeatureSpace
from slate.ranking.assess import Assessor
from slate.ranking.explain.asking import Asked, Asker, asked_of
from slate.ranking.explain.dependence import curves
from slate.ranking.explain.importance import Judge, importances, user_means
from slate.ranking.explain.record import Explanations
from slate.ranking.metrics import K
from slate.ranking.model import Items, RankingModel
from slate.ranking.occasions import Occasions, Pools
from slate.ranking.served import ServedRanker

Int64 = npt.NDArray[np.int64]

#: How often each input is shuffled.
REPEATS: Final = 3
_ROWS_OF_CURVES: Final = 1_000


def explain(
    config: RankingConfig,
    model: RankingModel,
    served: ServedRanker,
    items: Items,
    features: FeatureSpace,
    occasions: Occasions,
    pools: Pools,
    encoded: Mapping[str, EncodedArray],
    assessor: Assessor,
    report: Int64,
) -> Explanations:
    """Importance of every input and curves of what it does, over requests of the ``report`` part.

    At most ``config.explanations`` requests are drawn by seed, of as many users as there are. The model, its
    export and the arrays given stay as they are.
    """
    started = time.monotonic()
    chosen = _drawn(report, occasions.users, config.explanations, config.seed)
    query = {name: array[chosen] for name, array in encoded.items()}
    asked = asked_of(model, items, query, pools.rows[chosen], pools.scores[chosen])
    interacted = assessor.interacted(chosen)
    users = [occasions.users[place] for place in chosen]
    asker = Asker(model, served, items, asked)
    judge = Judge(users, interacted, asked.present, K)
    losses = judge.losses(asker.answer(asked))
    return Explanations(
        model=config.model,
        requests=len(chosen),
        users=len(set(users)),
        with_positive=int(interacted.any(axis=1).sum()),
        k=K,
        repeats=REPEATS,
        ndcg=_mean(user_means(users, 1.0 - losses[:, 0])),
        log_loss=_mean(user_means(users, losses[:, 1])),
        importance=importances(asker, asked, judge, losses, REPEATS, config.seed),
        curves=curves(asker, asked, _some(asked, config.seed), features, items.counts, model.popularity),
        seconds=time.monotonic() - started,
    )


def _drawn(queries: Int64, users: Sequence[str], most: int, seed: int) -> Int64:
    """One request of each user, then a second, and so on: intervals live on users."""
    turns: dict[str, int] = {}
    order = []
    for query in np.random.default_rng(seed).permutation(queries).tolist():
        turns[users[query]] = turns.get(users[query], 0) + 1
        order.append((turns[users[query]], query))
    # Within a turn by the order drawn: sorting is stable.
    taken = sorted(order, key=lambda drawn: drawn[0])[:most]
    return np.sort(np.asarray([query for _, query in taken], np.int64))


def _some(asked: Asked, seed: int) -> Asked:
    """A few candidates of each request, drawn at random: curves need no whole lists."""
    width = asked.present.shape[1]
    most = min(max(_ROWS_OF_CURVES // max(len(asked), 1), 1), width)
    keys = np.where(asked.present, np.random.default_rng(seed).random(asked.present.shape), 2.0)
    return asked.candidates(np.argsort(keys, axis=1)[:, :most])


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None
