"""What is measured of a challenger, and what it must reach."""

from pydantic import Field

from slate.config.section import Section


class EvaluationConfig(Section):
    """What is measured. ``ks`` are list lengths; ``k`` is the one the gate decides on.

    Users with a history shorter than ``cold_user_history`` are cold; items with at most
    ``new_item_count`` training interactions are new. An attribute makes at most ``slice_values``
    slices, the rarest values together. Above ``ease_item_limit`` items the EASE baseline is left out.
    """

    ks: tuple[int, ...] = (10, 100)
    k: int = Field(default=10, ge=1)
    bootstrap: int = Field(default=1000, ge=100)
    cold_user_history: int = Field(default=5, ge=0)
    new_item_count: int = Field(default=5, ge=0)
    slice_values: int = Field(default=30, ge=2)
    max_targets: int = Field(default=50_000, ge=1)
    ease_regularisation: float = Field(default=300.0, gt=0)
    ease_item_limit: int = Field(default=10_000, ge=0)
    parity_rows: int = Field(default=256, ge=1)
    seed: int = 1


class GateConfig(Section):
    """When a challenger may be released. All margins are relative losses against the champion.

    ``margin`` and ``slice_margin`` are of NDCG at ``evaluation.k``; ``coverage_margin`` is of catalogue
    coverage; ``concentration_margin`` is of evenness, 1 less the Gini coefficient of exposure.

    Users of one value of a sensitive attribute may have up to ``quality_gap`` less NDCG than all others, and
    items of one value up to ``exposure_gap`` less exposure than their share of what users wanted. Both are
    relative, refuse only where the interval shows more, and guard against gross failures alone; null
    switches one off. Groups of fewer than ``min_slice_users`` users are not judged, nor slices.

    ``forgetting_margin`` is what an incremental release may lose of its parent's NDCG on what users who are
    never trained on did before the parent's ``train_end``.
    """

    margin: float = Field(default=0.05, ge=0)
    slice_margin: float = Field(default=0.2, ge=0)
    forgetting_margin: float = Field(default=0.1, ge=0)
    min_users: int = Field(default=100, ge=1)
    min_slice_users: int = Field(default=30, ge=1)
    coverage_margin: float = Field(default=0.5, ge=0)
    concentration_margin: float = Field(default=0.5, ge=0)
    quality_gap: float | None = Field(default=0.5, ge=0, lt=1)
    exposure_gap: float | None = Field(default=0.8, ge=0, lt=1)
    parity_tolerance: float = Field(default=1e-5, gt=0)
