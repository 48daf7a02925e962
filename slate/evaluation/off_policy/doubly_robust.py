"""Doubly robust: what a model expects of the policy, corrected by where it was wrong about what was shown.

``mean(q(policy) + w (r - q(shown)))`` (Dudík, Langford and Li, "Doubly Robust Policy Evaluation and
Learning", ICML 2011). Unbiased where either the propensities or the model are right; a good model takes
variance away. The model of a user is fitted on other users (cross-fitting: Chernozhukov et al.,
"Double/debiased machine learning", Econometrics Journal 2018), so it does not know the answer.
"""

import numpy as np

from slate.evaluation.off_policy.logged import Codes, Floats, Logged, Terms

_FOLDS = 5
#: Of each input, in units of its own variance: steadies the fit where inputs hardly differ.
_RIDGE = 1e-3


def terms(logged: Logged) -> Terms:
    """Of each slate."""
    corrected = logged.expected + logged.weights * (logged.rewards - logged.modelled)
    return Terms(corrected, np.ones(logged.rewards.size))


def crossfitted(users: Codes, rewards: Floats, shown: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """What a linear model expects of what was shown, and of what a policy would show.

    Args:
        shown: inputs [slates, inputs] that describe what was shown.
        wanted: the same of what the policy would show.
    """
    folds = users % _FOLDS
    modelled, expected = np.zeros(rewards.size), np.zeros(rewards.size)
    for fold in range(_FOLDS):
        inside = folds == fold
        centre, slopes, mean = _fitted(shown[~inside], rewards[~inside])
        modelled[inside] = mean + (shown[inside] - centre) @ slopes
        expected[inside] = mean + (wanted[inside] - centre) @ slopes
    return modelled, expected


def _fitted(inputs: Floats, rewards: Floats) -> tuple[Floats, Floats, float]:
    if rewards.size == 0:
        return np.zeros(inputs.shape[1]), np.zeros(inputs.shape[1]), 0.0
    centre, mean = inputs.mean(axis=0), float(rewards.mean())
    apart = inputs - centre
    square = apart.T @ apart
    ridge = _RIDGE * np.diag(np.diag(square)) + np.finfo(np.float64).eps * np.eye(len(square))
    return centre, np.linalg.solve(square + ridge, apart.T @ (rewards - mean)), mean
