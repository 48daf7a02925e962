"""How a shadow's answers differ from those that users got."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Answer:
    """One slate: item ids and scores by position, and how long it took. None of it where it failed."""

    items: tuple[str, ...]
    scores: tuple[float, ...]
    latency_ms: float


@dataclass(frozen=True)
class Compared:
    """What stable answered a request and what shadow would have; ``shadow`` is None where it failed."""

    stable: Answer
    shadow: Answer | None


@dataclass(frozen=True)
class Likeness:
    """Means over requests that shadow answered; NaN where there are none.

    ``failed`` is the share of answers that are missing or hold a score that is no number; ``overlap`` the
    share of the first k items in common; ``rank_biased`` the rank-biased overlap; ``score_drift`` the
    Kolmogorov-Smirnov distance of all scores; ``slower`` shadow's p99 over stable's, less 1.
    """

    requests: int
    failed: float
    overlap: float
    rank_biased: float
    score_drift: float
    slower: float


def liken(pairs: Sequence[Compared], k: int, persistence: float) -> Likeness:
    """Compare shadow's answers with stable's, request by request.

    Args:
        persistence: how likely a reader goes on from one position to the next, the p of rank-biased overlap.
    """
    answered = [(pair.stable, pair.shadow) for pair in pairs if pair.shadow and _finite(pair.shadow)]
    failed = 1 - len(answered) / len(pairs) if pairs else math.nan
    if not answered:
        return Likeness(len(pairs), failed, *(math.nan,) * 4)
    stable_scores = np.array([score for stable, _ in answered for score in stable.scores])
    shadow_scores = np.array([score for _, shadow in answered for score in shadow.scores])
    return Likeness(
        requests=len(pairs),
        failed=failed,
        overlap=float(np.mean([overlap(a.items, b.items, k) for a, b in answered])),
        rank_biased=float(np.mean([rank_biased_overlap(a.items, b.items, persistence) for a, b in answered])),
        score_drift=kolmogorov_smirnov(stable_scores, shadow_scores),
        slower=_slower([a.latency_ms for a, _ in answered], [b.latency_ms for _, b in answered]),
    )


def overlap(first: Sequence[str], second: Sequence[str], k: int) -> float:
    """The share of the first k of either that is in both; 1 where both are empty.

    >>> overlap(["a", "b", "c"], ["b", "d", "a"], 2)
    0.5
    """
    longest = min(k, max(len(first), len(second)))
    return len(set(first[:k]) & set(second[:k])) / longest if longest else 1.0


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], persistence: float) -> float:
    """Agreement that counts the top most, extrapolated: RBO_ext of Webber, Moffat and Zobel (TOIS 2010).

    ``p^k X_k / k + (1 - p) / p * sum over d of p^d X_d / d``, where ``X_d`` is how many the first d of both
    have in common. A shorter list is filled up with items that nothing equals.

    >>> rank_biased_overlap(["a", "b"], ["a", "b"], 0.9)
    1.0
    >>> rank_biased_overlap(["a", "b"], ["c", "d"], 0.9)
    0.0
    >>> round(rank_biased_overlap(["a", "b"], ["b", "a"], 0.9), 12)
    0.9
    """
    depth = max(len(first), len(second))
    if depth == 0:
        return 1.0
    shared = np.array([len(set(first[:d]) & set(second[:d])) / d for d in range(1, depth + 1)])
    weights = persistence ** np.arange(1, depth + 1)
    total = weights[-1] * shared[-1] + (1 - persistence) / persistence * float(shared @ weights)
    return round(float(total), 15)


def kolmogorov_smirnov(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """The largest difference of two empirical distribution functions; NaN where one is empty.

    >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    if first.size == 0 or second.size == 0:
        return math.nan
    both = np.concatenate([first, second])
    below = [np.searchsorted(np.sort(each), both, side="right") / each.size for each in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def _finite(answer: Answer) -> bool:
    return all(math.isfinite(score) for score in answer.scores)


def _slower(stable: Sequence[float], shadow: Sequence[float]) -> float:
    usual = float(np.quantile(stable, 0.99))
    return float(np.quantile(shadow, 0.99)) / usual - 1 if usual > 0 else math.nan
