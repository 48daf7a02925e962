"""From logged draws to the value of another policy: estimates with intervals, or a refusal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from slate.errors import DataError
from slate.evaluation.intervals import ratio_difference, ratio_estimate
from slate.evaluation.off_policy import doubly_robust, inverse_propensity, self_normalised
from slate.evaluation.off_policy.logged import Floats, Logged, Terms
from slate.evaluation.off_policy.weights import clipped, effective

#: Standard errors that the mean weight may be off before the propensities are not believed.
_BELIEVED: Final = 5.0

_ESTIMATORS: Final = {
    "ips": inverse_propensity.terms,
    "snips": self_normalised.terms,
    "dr": doubly_robust.terms,
}


@dataclass(frozen=True)
class Value:
    """A policy's value a slate by one estimator, and how much more that is than what was shown brought.

    Bounds are 95% intervals over users; None for fewer than two.
    """

    estimator: str
    value: float
    low: float | None
    high: float | None
    difference: float
    difference_low: float | None
    difference_high: float | None


@dataclass(frozen=True)
class Estimates:
    """``shown`` is what a slate brought as it was; ``effective`` how many slates the weights are worth.

    ``support`` is the mean weight: the share of slates in which the policy's item could have been drawn, 1 by
    its nature for policies of the log itself. ``clipped`` weights were lowered to ``clip``.
    """

    slates: int
    users: int
    shown: float
    effective: float
    support: float
    largest_weight: float
    clip: float | None
    clipped: int
    values: tuple[Value, ...]


def estimate(
    logged: Logged,
    *,
    minimum: float,
    clip: float | None = None,
    supported: bool = True,
    resamples: int = 1000,
    seed: int = 1,
) -> Estimates:
    """The value of a policy by every estimator.

    Intervals resample users, so that slates of one user may depend on each other as they like.

    Args:
        minimum: the smallest effective number of slates.
        clip: lower weights to this, which biases all estimates; never, without it.
        supported: the policy only shows what could be drawn, so weights are 1 in the mean unless propensities
            are wrong.

    Raises:
        DataError: the weights are worth fewer slates than ``minimum``, or contradict what was shown.
    """
    size = effective(logged.weights)
    if size < minimum:
        raise DataError(
            f"{logged.weights.size} slates are worth {size:.1f} for this policy, {minimum:g} are needed: it "
            "hardly ever shows what was shown; wait for more traffic, explore more, or lower --minimum"
        )
    if supported:
        _believed(logged)
    used, lowered = (logged, 0) if clip is None else clipped(logged, clip)
    return Estimates(
        slates=logged.weights.size,
        users=int(np.unique(logged.users).size),
        shown=float(logged.rewards.mean()),
        effective=size,
        support=float(logged.weights.mean()),
        largest_weight=float(logged.weights.max()),
        clip=clip,
        clipped=lowered,
        values=tuple(
            _value(name, terms(used), logged, resamples, seed) for name, terms in _ESTIMATORS.items()
        ),
    )


def _value(name: str, terms: Terms, logged: Logged, resamples: int, seed: int) -> Value:
    each = _by_user(logged, (terms.above, terms.below, logged.rewards, np.ones(logged.rewards.size)))
    found = ratio_estimate(each[:, 0], each[:, 1], resamples, seed)
    more = ratio_difference(each[:, :2], each[:, 2:], resamples, seed)
    return Value(name, found.value, found.low, found.high, more.value, more.low, more.high)


def _by_user(logged: Logged, values: Sequence[Floats]) -> Floats:
    """The sums of each user: [users, values]."""
    _, places = np.unique(logged.users, return_inverse=True)
    return np.stack([np.bincount(places, each) for each in values], axis=1)


def _believed(logged: Logged) -> None:
    each = _by_user(logged, (logged.weights - 1,))[:, 0]
    error = float(np.sqrt((each**2).sum()))
    if abs(each.sum()) > _BELIEVED * error:
        raise DataError(
            f"weights are {logged.weights.mean():.3f} in the mean and should be 1: what was shown was not "
            "drawn with the propensities that were logged; see whether slates are lost, and whether all "
            "servers are of one version"
        )
