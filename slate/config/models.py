"""How data is cut, and how the models and the index are made."""

from typing import Literal, Self

from pydantic import Field, model_validator

from slate.config.section import Section


class SplitConfig(Section):
    """How time is cut. Fractions are of interactions in time order.

    ``temporal``: train up to ``train_end``, validation up to ``valid_end``, the rest is the
    holdout. ``leave_last_out``: each user's last interaction is the test, the one before it the
    validation (a benchmark protocol; its models cannot be released). ``unseen_users`` is the share
    of users kept out of temporal training for good, on whom forgetting is measured.
    """

    protocol: Literal["temporal", "leave_last_out"] = "temporal"
    valid_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    unseen_users: float = Field(default=0.02, ge=0, lt=0.5)


class RetrievalConfig(Section):
    """The two-tower model and its training.

    ``history`` is how many interactions back the query tower looks; a longer user gives several
    windows, cut every ``stride`` of it. ``id_dropout`` is the share of items shown by content alone
    in a step; items with fewer than ``min_item_count`` training interactions always are. ``loss:
    auto`` is the full softmax up to ``full_softmax_limit`` items, then the sampled one with
    ``negatives`` uniform negatives beside those in the batch. A batch has ``batch_size`` windows and
    room for ``slots`` queries for each of their entries. Early stopping waits ``patience`` epochs and
    looks at up to ``validation_targets`` targets. ``jit`` compiles the training step with XLA: it
    pays on accelerators, not on CPUs.
    """

    dim: int = Field(default=64, ge=2)
    blocks: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    history: int = Field(default=50, ge=1)
    stride: float = Field(default=1.0, gt=0, le=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    id_dropout: float = Field(default=0.05, ge=0, lt=1)
    min_item_count: int = Field(default=1, ge=1)
    loss: Literal["auto", "full", "sampled"] = "auto"
    full_softmax_limit: int = Field(default=20_000, ge=1)
    negatives: int = Field(default=1024, ge=1)
    batch_size: int = Field(default=32, ge=1)
    slots: float = Field(default=0.6, gt=0, le=1)
    learning_rate: float = Field(default=0.003, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    epochs: int = Field(default=24, ge=1)
    patience: int = Field(default=5, ge=1)
    validation_targets: int = Field(default=2_000, ge=1)
    jit: bool = False
    seed: int = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads, but {self.dim} is not one of {self.heads}")
        return self


class IndexConfig(Section):
    """The candidate index. ``auto`` picks brute force, hashing or tree by catalogue size.

    It is tuned to find ``recall_target`` of the best ``k``: what one request asks of it, which is the
    funnel's candidates and as many more as filters may remove. Searches for more look at more in proportion.
    """

    kind: Literal["auto", "exact", "brute_force", "hashed", "tree"] = "auto"
    brute_force_below: int = Field(default=20_000, ge=0)
    hashed_below: int = Field(default=100_000, ge=0)
    k: int = Field(default=250, ge=1)
    recall_target: float = Field(default=0.95, gt=0, le=1)
    sample: int = Field(default=500, ge=1)
    seed: int = 1


class RankingConfig(Section):
    """The ranking model and its training.

    ``negatives`` are drawn for each positive, ``uniform_negatives`` of them from the whole catalogue and
    the rest from the ``candidates`` that retrieval finds. At most ``max_queries`` requests are used.
    ``learning_rate`` is 0.0005 unless given, 0.02 for logistic regression. ``weighted_by_value`` weights
    positives by their value, so that probabilities count value instead of interactions. The model is
    explained by at most ``explanations`` requests; 0 leaves the explanations out.
    """

    model: Literal["multitask", "logistic"] = "multitask"
    weighted_by_value: bool = False
    history: int = Field(default=50, ge=1)
    dim: int = Field(default=32, ge=2)
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    id_dropout: float = Field(default=0.1, ge=0, lt=1)
    negatives: int = Field(default=8, ge=2)
    uniform_negatives: float = Field(default=0.25, gt=0, lt=1)
    candidates: int = Field(default=200, ge=1)
    max_queries: int = Field(default=20_000, ge=1)
    explanations: int = Field(default=200, ge=0)
    batch_size: int = Field(default=2048, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=3, ge=1)
    seed: int = 1
