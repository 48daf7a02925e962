"""How a rollout climbs, and what stops it."""

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from slate.config.section import Section


class GuardrailConfig(Section):
    """How much worse than stable a candidate may be: of stable's own figure where ``relative``."""

    margin: float = Field(ge=0)
    relative: bool = False


class AlphaConfig(Section):
    """How often a rollout of two equal releases may end wrongly, ``total``, and what each end gets of it.

    Weights count against each other: ``ratio`` is the sample-ratio test, ``harm`` an engagement that fell,
    ``win`` one that rose, ``guardrails`` all guardrails together.
    """

    total: float = Field(default=0.05, gt=0, lt=0.5)
    ratio: float = Field(default=2.0, gt=0)
    harm: float = Field(default=1.0, gt=0)
    win: float = Field(default=1.0, gt=0)
    guardrails: float = Field(default=1.0, gt=0)


class ShadowConfig(Section):
    """What shadow answers must be like before users see any.

    ``failed`` is the largest share of them that may be missing or hold a score that is no number; ``overlap``
    and ``rank_biased`` the smallest mean agreement with what stable answered, 0 for any; ``score_drift`` the
    largest Kolmogorov-Smirnov distance of the scores, 1 for any; ``slower`` how much slower their p99 may be,
    as a share of stable's. ``persistence`` is the p of rank-biased overlap.
    """

    minimum: int = Field(default=500, ge=1)
    k: int = Field(default=10, ge=1)
    persistence: float = Field(default=0.9, gt=0, lt=1)
    failed: float = Field(default=0.01, ge=0, le=1)
    overlap: float = Field(default=0.0, ge=0, le=1)
    rank_biased: float = Field(default=0.0, ge=0, le=1)
    score_drift: float = Field(default=1.0, ge=0, le=1)
    slower: float = Field(default=0.5, ge=0)


class GuardrailsConfig(Section):
    """The guardrails. ``errors`` and ``p99`` are the gateway's, the others come from the log."""

    errors: GuardrailConfig = GuardrailConfig(margin=0.005)
    p99: GuardrailConfig = GuardrailConfig(margin=0.25, relative=True)
    empty_slates: GuardrailConfig = GuardrailConfig(margin=0.01)
    fallback: GuardrailConfig = GuardrailConfig(margin=0.05)
    coverage: GuardrailConfig = GuardrailConfig(margin=0.25, relative=True)
    repeats: GuardrailConfig = GuardrailConfig(margin=0.1)
    negative_actions: GuardrailConfig = GuardrailConfig(margin=0.05)


class ThompsonConfig(Section):
    """How users are shared out by Thompson sampling: no arm gets less than ``minimum`` of them, and a new
    share is drawn every ``every_s``."""

    minimum: float = Field(default=0.05, gt=0, lt=0.5)
    every_s: float = Field(default=3600.0, gt=0)


class GatewayConfig(Section):
    """What carries the traffic: ``envoy``, started by ``slate up`` with its files in ``folder``, or the
    ``kubernetes`` gateway of a ``namespace``, whose figures come from the Prometheus server at
    ``prometheus``. It is read in blocks of ``block_s`` seconds.
    """

    driver: Literal["envoy", "kubernetes"] = "envoy"
    folder: str = ".slate/gateway"
    namespace: str = "slate"
    prometheus: str = ""
    block_s: float = Field(default=5.0, gt=0)


class RolloutConfig(Section):
    """The ramp a rollout climbs, in percent of users, and what the judge asks of each step.

    A step lasts ``dwell_s`` at least and ``limit_s`` at most, and needs ``minimum_users`` in each arm whose
    time is over. That is ``window_s`` from a user's first slate in this step for engagement and negative
    actions, ``guardrail_window_s`` for the other guardrails, and ``settle_s`` more until the log is complete.
    ``superiority`` promotes what is better than stable, ``non_inferiority`` what is less than ``margin`` (a
    share of stable's engagement) worse. Intervals are narrowest at ``sharpest_at`` users an arm. ``cuped``
    takes out what users did in the ``window_s`` before the rollout.

    Coverage is what ``coverage_users`` users were shown together. Blocks of gateway figures count
    with ``minimum_requests`` an arm, from ``minimum_blocks`` blocks on. Above ``broken`` failed of the last
    ``broken_requests`` requests a candidate goes at once, where stable fails less than half as often. Data
    older than ``stale_s`` decide nothing, and a rollout that saw none for ``blind_s`` is aborted.

    The controller looks every ``look_s``; another takes over when it is not heard of for ``lease_s``. In step
    shadow, ``mirror_percent`` of stable's requests are copied. ``allocation`` is either the fixed ``steps``
    or, after shadow, shares by ``thompson`` sampling.
    """

    steps: tuple[float, ...] = (1, 5, 25, 50)
    dwell_s: float = Field(default=3600.0, ge=0)
    limit_s: float = Field(default=1_209_600.0, gt=0)
    window_s: float = Field(default=86_400.0, gt=0)
    guardrail_window_s: float = Field(default=600.0, gt=0)
    settle_s: float = Field(default=120.0, ge=0)
    minimum_users: int = Field(default=200, ge=10)
    objective: Literal["superiority", "non_inferiority"] = "superiority"
    margin: float = Field(default=0.02, ge=0, lt=1)
    sharpest_at: int = Field(default=10_000, ge=10)
    cuped: bool = True
    coverage_users: int = Field(default=10, ge=1)
    minimum_requests: int = Field(default=20, ge=1)
    minimum_blocks: int = Field(default=20, ge=2)
    broken: float = Field(default=0.5, gt=0, lt=1)
    broken_requests: int = Field(default=20, ge=5)
    stale_s: float = Field(default=300.0, gt=0)
    blind_s: float = Field(default=3600.0, gt=0)
    look_s: float = Field(default=5.0, gt=0)
    lease_s: float = Field(default=5.0, gt=0)
    mirror_percent: float = Field(default=100.0, gt=0, le=100)
    allocation: Literal["steps", "thompson"] = "steps"
    thompson: ThompsonConfig = ThompsonConfig()
    gateway: GatewayConfig = GatewayConfig()
    alpha: AlphaConfig = AlphaConfig()
    guardrails: GuardrailsConfig = GuardrailsConfig()
    shadow: ShadowConfig = ShadowConfig()

    @model_validator(mode="after")
    def _climbs(self) -> Self:
        rises = all(low < high for low, high in pairwise(self.steps))
        if not self.steps or not rises or self.steps[0] <= 0 or self.steps[-1] > 99:
            raise ValueError(
                f"steps are {self.steps}: they must rise, from above 0 to 99 percent of users at most"
            )
        if self.objective == "non_inferiority" and self.margin == 0:
            raise ValueError("margin is 0: non_inferiority needs one above it, or choose superiority")
        return self
