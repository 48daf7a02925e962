"""How a recommender treats groups of users and of items.

Users of each value of a sensitive attribute: the quality they get against everybody else, and what they
are shown. Items of each value: the exposure they get against their merit, which is their share of what users
went on to want (disparate treatment in Singh and Joachims, 2018, Fairness of Exposure in Rankings; Biega et
al., 2018, Equity of Attention). The exposure of a place is ``1 / log2(1 + rank)``, as in the former.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from slate.config import EvaluationConfig
from slate.evaluation.intervals import Estimate, group_difference, mean_estimates, paired_difference
from slate.evaluation.metrics import PADDING, user_means
from slate.evaluation.record import Fairness, ItemGroup, UserGroup
from slate.evaluation.slices import Slice, item_groups
from slate.evaluation.targets import Targets

Floats = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: The share of the catalogue that is its head, by training count.
HEAD: Final = 0.05


@dataclass(frozen=True)
class Shown:
    """The lists of one ranker: ``top`` int32 [targets, k] of item rows, -1 on padding.

    ``train_counts`` int64 [items].
    """

    targets: Targets
    top: Int32
    train_counts: Int64

    @cached_property
    def filled(self) -> Mask:
        """Places that hold an item, bool [targets, k]."""
        return np.asarray(self.top != PADDING, np.bool_)

    @cached_property
    def weights(self) -> Floats:
        """The exposure of each place, 0 on padding; those of a list add up to 1."""
        raw: Floats = self.filled / np.log2(2.0 + np.arange(self.top.shape[1]))
        totals = raw.sum(axis=1, keepdims=True)
        shares: Floats = np.divide(raw, totals, out=np.zeros_like(raw), where=totals > 0)
        return shares

    @cached_property
    def head(self) -> Mask:
        """The most popular items, bool [items]; ties go to the earlier row."""
        size = math.ceil(HEAD * len(self.train_counts))
        found = np.zeros(len(self.train_counts), np.bool_)
        found[np.argsort(-self.train_counts, kind="stable")[:size]] = True
        return found

    def mean_of(self, values: npt.NDArray[np.generic]) -> Floats:
        """The mean of an item property [items] over each list, float64 [targets], NaN for an empty list."""
        held = np.where(self.filled, values.astype(np.float64)[self.top], 0.0)
        totals, counts = held.sum(axis=1), self.filled.sum(axis=1)
        means: Floats = np.divide(totals, counts, out=np.full(len(held), np.nan), where=counts > 0)
        return means

    def exposure_of(self, members: Mask) -> Floats:
        """The share of each list's exposure that some items, bool [items], have: float64 [targets]."""
        held: Floats = self.weights * members[self.top]
        return np.asarray(held.sum(axis=1), np.float64)


def measure_fairness(
    shown: Shown,
    metrics: Mapping[str, Floats],
    user_groups: Sequence[Slice],
    item_attributes: Mapping[str, Sequence[object]],
    config: EvaluationConfig,
) -> Fairness:
    """Everything about groups; intervals draw users.

    Args:
        shown: the challenger's lists.
        metrics: each metric of each target, float64 [targets], by name.
        user_groups: the slices of the sensitive attributes of users.
        item_attributes: raw values by attribute, then item row.
    """
    chosen = {name: metrics[name] for name in (f"ndcg@{config.k}", f"recall@{config.k}")}
    items = [
        group
        for attribute, values in sorted(item_attributes.items())
        for group in _item_groups(shown, attribute, values, config)
    ]
    return Fairness(
        head_items=int(shown.head.sum()),
        users=tuple(_user_group(shown, chosen, part, config) for part in user_groups),
        items=tuple(items),
    )


def _user_group(
    shown: Shown, metrics: Mapping[str, Floats], part: Slice, config: EvaluationConfig
) -> UserGroup:
    mine = user_means(shown.targets.user_codes[part.mask], _columns(metrics, part.mask))
    rest = user_means(shown.targets.user_codes[~part.mask], _columns(metrics, ~part.mask))
    estimates = mean_estimates(mine.means, config.bootstrap, config.seed)
    differences = {}
    if len(rest.users):
        differences = {
            name: group_difference(mine.means[:, at], rest.means[:, at], config.bootstrap, config.seed)
            for at, name in enumerate(metrics)
        }
    share = (shown.train_counts + 1.0) / (shown.train_counts.sum() + len(shown.train_counts))
    held = shown.top[part.mask]
    return UserGroup(
        name=part.name,
        attribute=part.attribute,
        label=part.label,
        users=len(mine.users),
        others=len(rest.users),
        targets=int(part.mask.sum()),
        metrics=dict(zip(metrics, estimates, strict=True)),
        differences=differences,
        coverage=len(np.unique(held[held != PADDING])) / len(shown.train_counts),
        novelty=_shown(shown, -np.log2(share), part.mask, config),
        popularity=_shown(shown, shown.train_counts, part.mask, config),
        head=_shown(shown, shown.head, part.mask, config),
    )


def _columns(metrics: Mapping[str, Floats], mask: Mask) -> Floats:
    return np.stack([values[mask] for values in metrics.values()], axis=1)


def _shown(
    shown: Shown, values: npt.NDArray[np.generic], mask: Mask, config: EvaluationConfig
) -> Estimate | None:
    """The mean over users of an item property in what they are shown."""
    means = shown.mean_of(values)
    known = mask & np.isfinite(means)
    if not known.any():
        return None
    by_user = user_means(shown.targets.user_codes[known], means[known, np.newaxis])
    return mean_estimates(by_user.means, config.bootstrap, config.seed)[0]


def _item_groups(
    shown: Shown, attribute: str, values: Sequence[object], config: EvaluationConfig
) -> list[ItemGroup]:
    groups = item_groups(values, config.slice_values)
    found = []
    for label, members in groups.items():
        wanted = members[shown.targets.items]
        shares = np.stack([shown.exposure_of(members), wanted.astype(np.float64)], axis=1)
        by_user = user_means(shown.targets.user_codes, shares)
        found.append(
            ItemGroup(
                name=f"{attribute}: {label}",
                attribute=attribute,
                label=label,
                groups=len(groups),
                items=int(members.sum()),
                catalogue=float(members.mean()),
                users=int((by_user.means[:, 1] > 0).sum()),
                targets=int(wanted.sum()),
                exposure=paired_difference(
                    by_user.means[:, 0], by_user.means[:, 1], config.bootstrap, config.seed
                ),
            )
        )
    return found
