"""How the chance of a wrong end is shared out over everything that can end a rollout (Bonferroni)."""

from typing import NamedTuple

from slate.config import GuardrailsConfig, RolloutConfig
from slate.errors import ConfigError


class Spending(NamedTuple):
    """Alphas of one step: ``guardrail`` of each guardrail, ``win`` of the last step alone."""

    ratio: float
    harm: float
    win: float
    guardrail: float


def spending(config: RolloutConfig, percent: float) -> Spending:
    """What the step at ``percent`` may spend.

    Harm and guardrails have the same share in every step. The sample-ratio test has most of it where it sees
    most, in proportion to ``share * (1 - share)``. Only the last step can promote. Where shares move, all of
    them together are one step, which spends everything.

    Raises:
        ConfigError: there is no such step.
    """
    alpha = config.alpha
    unit = alpha.total / (alpha.ratio + alpha.harm + alpha.win + alpha.guardrails)
    if config.allocation == "thompson":
        each = unit * alpha.guardrails / len(GuardrailsConfig.model_fields)
        return Spending(unit * alpha.ratio, unit * alpha.harm, unit * alpha.win, each)
    if percent not in config.steps:
        raise ConfigError(f"rollout.steps: {config.steps} has no step at {percent:g}; add it or go to one")
    seen = [step * (100 - step) for step in config.steps]
    return Spending(
        ratio=unit * alpha.ratio * percent * (100 - percent) / sum(seen),
        harm=unit * alpha.harm / len(config.steps),
        win=unit * alpha.win,
        guardrail=unit * alpha.guardrails / len(config.steps) / len(GuardrailsConfig.model_fields),
    )
