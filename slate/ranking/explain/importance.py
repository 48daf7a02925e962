"""Permutation importance: how much worse the ranker gets when an input is shuffled.

Breiman (2001, Random Forests, section 10) for the idea, Fisher, Rudin and Dominici (2019, All Models are
Wrong, but Many are Useful, section 3) for the difference of losses of a model that is not fitted again.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

from slate.ranking.explain.asking import Answers, Asked, Asker
from slate.ranking.explain.record import Effect, Importance
from slate.ranking.explain.shuffling import inputs_of, shuffled

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_RESAMPLES: Final = 1_000
_CONFIDENCE: Final = 0.95
_TINY: Final = 1e-7


def list_ndcg(interacted: Mask, scores: npt.NDArray[np.floating], present: Mask, k: int) -> Floats:
    """NDCG@k of each list with a gain of 1 for what was interacted with, NaN where nothing was.

    Equal scores keep the order of the list (Järvelin and Kekäläinen, 2002, with binary gains).

    >>> found = np.array([[False, True, False], [False, False, False]])
    >>> list_ndcg(found, np.array([[0.9, 0.5, 0.1]] * 2), np.ones((2, 3), bool), k=2).round(3).tolist()
    [0.631, nan]

    Args:
        interacted: bool [n, c].
        scores: float [n, c], higher first.
        present: bool [n, c], False on padding.
    """
    gains = np.where(present, interacted, False)
    order = np.argsort(np.where(present, -scores.astype(np.float64), np.inf), axis=1, kind="stable")[:, :k]
    discounts = 1.0 / np.log2(np.arange(2, order.shape[1] + 2))
    found = np.take_along_axis(gains, order, axis=1) @ discounts
    best = np.concatenate([[0.0], np.cumsum(discounts)])
    ideal = best[np.minimum(gains.sum(axis=1), len(discounts))]
    return np.divide(found, ideal, out=np.full(len(gains), np.nan), where=ideal > 0)


def list_log_loss(interacted: Mask, probabilities: npt.NDArray[np.floating], present: Mask) -> Floats:
    """The mean log loss of the candidates of each list, NaN for an empty list.

    >>> found = np.array([[True, False, False]])
    >>> list_log_loss(found, np.array([[0.5, 0.25, 0.9]]), np.array([[True, True, False]])).round(4).tolist()
    [0.4904]
    """
    p = np.clip(probabilities.astype(np.float64), _TINY, 1.0 - _TINY)
    losses = np.where(present, -np.log(np.where(interacted, p, 1.0 - p)), 0.0)
    counts = present.sum(axis=1)
    return np.divide(losses.sum(axis=1), counts, out=np.full(len(losses), np.nan), where=counts > 0)


def user_means(users: Sequence[str], values: Floats) -> Floats:
    """The mean of each user's requests, float64 [users], NaN left out.

    >>> user_means(["b", "a", "b", "c"], np.array([1.0, 4.0, 2.0, np.nan])).tolist()
    [4.0, 1.5]
    """
    known = np.isfinite(values)
    _, codes = np.unique(np.asarray(users, dtype=object)[known], return_inverse=True)
    return np.asarray(np.bincount(codes, values[known]) / np.bincount(codes))


def effect(means: Floats, seed: int) -> Effect | None:
    """The mean over users, float64 [users], with its BCa interval (Efron, 1987); None without users."""
    if not len(means):
        return None
    value = float(means.mean())
    if len(means) < 2:
        return Effect(value=value, low=None, high=None)
    if np.ptp(means) == 0.0:
        return Effect(value=value, low=value, high=value)
    drawn = bootstrap(
        (means,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=_CONFIDENCE,
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Effect(value=value, low=float(drawn.low), high=float(drawn.high))


class Judge:
    """What answers to one set of questions are worth, list by list."""

    def __init__(self, users: Sequence[str], interacted: Mask, present: Mask, k: int) -> None:
        self.users, self._interacted, self._present, self._k = users, interacted, present, k

    def losses(self, answers: Answers) -> Floats:
        """1 - NDCG and the log loss of each list, float64 [n, 2]; NaN where undefined."""
        ndcg = list_ndcg(self._interacted, answers.score, self._present, self._k)
        return np.stack(
            [1.0 - ndcg, list_log_loss(self._interacted, answers.probability, self._present)], axis=1
        )


def importances(
    asker: Asker, asked: Asked, judge: Judge, before: Floats, repeats: int, seed: int
) -> tuple[Importance, ...]:
    """Each input, and those of each group together, shuffled ``repeats`` times.

    ``before`` are the losses of ``asked`` as it is. A request's loss is averaged over the repeats, a user's
    over their requests. The interval draws users, who also differ by how the shuffling met them.
    """
    found = []
    for number, inputs in enumerate(inputs_of(asked)):
        rises = np.zeros_like(before)
        for repeat in range(repeats):
            rng = np.random.default_rng([seed, number, repeat])
            rises += (judge.losses(asker.answer(shuffled(asked, inputs, rng))) - before) / repeats
        ndcg, log_loss = (effect(user_means(judge.users, rises[:, column]), seed) for column in (0, 1))
        if log_loss is not None:
            found.append(
                Importance(
                    group=inputs.group, name=inputs.name, inputs=inputs.names, ndcg=ndcg, log_loss=log_loss
                )
            )
    return tuple(found)
