"""Inverse propensity scores: each reward counts as often as its item was shown too rarely.

``mean(w r)`` with ``w = pi(shown) / propensity`` (Horvitz and Thompson, JASA 1952; for bandits Dudík,
Langford and Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011). Unbiased where the policy shows
nothing that could not be drawn; where it does, those slates count as worth nothing.
"""

import numpy as np

from slate.evaluation.off_policy.logged import Logged, Terms


def terms(logged: Logged) -> Terms:
    """Of each slate."""
    return Terms(logged.weights * logged.rewards, np.ones(logged.rewards.size))
