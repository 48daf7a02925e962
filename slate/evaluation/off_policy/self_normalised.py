"""Self-normalised inverse propensity scores: a mean of rewards, so never beyond the rewards themselves.

``sum(w r) / sum(w)`` (Swaminathan and Joachims, "The Self-Normalized Estimator for Counterfactual Learning",
NeurIPS 2015). Slightly biased with few slates, and steadier: adding a constant to all rewards adds it to the
estimate. Where the policy shows what could not be drawn, it speaks of the other slates alone.
"""

from slate.evaluation.off_policy.logged import Logged, Terms


def terms(logged: Logged) -> Terms:
    """Of each slate."""
    return Terms(logged.weights * logged.rewards, logged.weights)
