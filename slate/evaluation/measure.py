"""The evaluation itself: rankers asked the same targets, measured, sliced and compared."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate import columns
from slate.clock import from_microseconds, isoformat
from slate.config import EvaluationConfig
from slate.data.catalogue import TRAIN_COUNT
from slate.data.vocabulary import IdMap
from slate.errors import DataError
from slate.evaluation import record
from slate.evaluation.baselines import Baseline
from slate.evaluation.fairness import Shown, measure_fairness
from slate.evaluation.intervals import Difference, Estimate, mean_estimates, paired_difference
from slate.evaluation.metrics import (
    PADDING,
    UserMeans,
    check_ranked,
    exposure,
    exposure_metrics,
    metric_names,
    metric_table,
    user_means,
)
from slate.evaluation.record import (
    FUNNEL,
    Evaluation,
    EvaluationRecord,
    RankerRecord,
    SliceRecord,
    TargetCounts,
)
from slate.evaluation.slices import Slice, attribute_slices, standard_slices
from slate.evaluation.targets import Selection, Targets, select

Floats = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

#: Targets and k to int32 [targets, k] rows of the evaluation's item map, padded with -1 at the end.
Ranker = Callable[[Targets, int], Int32]


@dataclass(frozen=True)
class _Answers:
    """One ranker's lists and what they are worth: metrics float64 [targets, metrics], top [targets, k]."""

    metrics: Floats
    top: Int32
    shown: Int64
    short: int
    seconds: float


def baseline_ranker(baseline: Baseline) -> Ranker:
    """A baseline as a ranker; what a user has seen is never recommended again."""

    def rank(targets: Targets, k: int) -> Int32:
        return baseline.rank(targets.histories, k)

    return rank


def measure(
    targets: Targets,
    rankers: Mapping[str, Ranker],
    items: IdMap,
    train_counts: Int64,
    config: EvaluationConfig,
    *,
    protocol: str,
    attributes: Mapping[str, Mapping[str, object]] | None = None,
    item_attributes: Mapping[str, Sequence[object]] | None = None,
    skipped: Mapping[str, str] | None = None,
    challenger: str = FUNNEL,
) -> Evaluation:
    """Ask every ranker the same targets and compare ``challenger`` with each of the others.

    Repeat targets are left out and counted, and whole users are sampled down to
    ``config.max_targets``; the record says how many. ``attributes`` are the sensitive ones of users, by
    name and then user id, ``item_attributes`` those of items, by name and then row. ``skipped`` carries the
    reasons why rankers are absent. Numbers do not depend on the order of the targets or of the rankers.

    Raises:
        DataError: no target is left, the challenger is absent, or a ranker returns lists that cannot be
            measured.
    """
    if challenger not in rankers:
        raise DataError(f"evaluation: no ranker {challenger!r} among {', '.join(rankers) or 'none'}; add it")
    if len(train_counts) != len(items):
        raise DataError(
            f"evaluation: {len(train_counts)} training counts for {len(items)} items; count over the item map"
        )
    selection = select(targets, config.max_targets, config.seed)
    chosen = selection.targets
    if len(chosen) == 0:
        raise DataError(
            f"evaluation: none of {selection.found} targets is left ({selection.repeats} repeat what the "
            "user already did); lengthen the test slice with split.test_fraction"
        )
    ks = sorted({*config.ks, config.k})
    answers = {name: _ask(ranker, name, chosen, items, ks, config.k) for name, ranker in rankers.items()}
    slices = standard_slices(
        chosen,
        train_counts,
        cold_user_history=config.cold_user_history,
        new_item_count=config.new_item_count,
    )
    groups = [
        part
        for attribute, values in sorted((attributes or {}).items())
        for part in attribute_slices(chosen, attribute, values, config.slice_values)
    ]
    slices += groups
    names = metric_names(ks)
    measured = [_measure_slice(part, chosen, answers, names, challenger, config) for part in slices]
    overall = measured[0].record
    summary = EvaluationRecord(
        protocol=protocol,
        k=config.k,
        ks=tuple(ks),
        metric=f"ndcg@{config.k}",
        challenger=challenger,
        bootstrap=config.bootstrap,
        seed=config.seed,
        items=len(items),
        targets=_counts(selection),
        rankers={
            name: RankerRecord(
                metrics=overall.metrics[name],
                **exposure_metrics(a.shown, train_counts)._asdict(),
                short_lists=a.short,
                seconds=a.seconds,
            )
            for name, a in answers.items()
        },
        skipped=dict(skipped or {}),
        slices=tuple(m.record for m in measured),
        fairness=measure_fairness(
            Shown(chosen, answers[challenger].top, train_counts),
            dict(zip(names, answers[challenger].metrics.T, strict=True)),
            groups,
            item_attributes or {},
            config,
        ),
    )
    return Evaluation(
        summary,
        pa.concat_tables([m.per_user for m in measured]),
        _exposure_table(chosen, answers, items, train_counts),
    )


def _ask(ranker: Ranker, name: str, targets: Targets, items: IdMap, ks: Sequence[int], k: int) -> _Answers:
    started = time.monotonic()
    ranked = ranker(targets, max(ks))
    seconds = time.monotonic() - started
    try:
        check_ranked(ranked, len(targets), len(items))
    except DataError as error:
        raise DataError(f"evaluation: ranker {name!r}: {error}") from error
    top = ranked[:, :k]
    short = int(np.count_nonzero((top != PADDING).sum(axis=1) < k))
    metrics = metric_table(ranked, targets.items, ks)
    return _Answers(metrics, top, exposure(top, len(items)), short, seconds)


@dataclass(frozen=True)
class _MeasuredSlice:
    record: SliceRecord
    per_user: pa.Table


def _measure_slice(
    part: Slice,
    targets: Targets,
    answers: Mapping[str, _Answers],
    names: Sequence[str],
    challenger: str,
    config: EvaluationConfig,
) -> _MeasuredSlice:
    codes = targets.user_codes[part.mask]
    by_ranker = {name: user_means(codes, a.metrics[part.mask]) for name, a in answers.items()}
    users = by_ranker[challenger].users
    metrics: dict[str, dict[str, Estimate]] = {}
    differences: dict[str, Difference] = {}
    if len(users):
        stacked = np.concatenate([means.means for means in by_ranker.values()], axis=1)
        estimates = iter(mean_estimates(stacked, config.bootstrap, config.seed))
        metrics = {ranker: {metric: next(estimates) for metric in names} for ranker in by_ranker}
        column = list(names).index(f"ndcg@{config.k}")
        mine = by_ranker[challenger].means[:, column]
        differences = {
            ranker: paired_difference(mine, means.means[:, column], config.bootstrap, config.seed)
            for ranker, means in by_ranker.items()
            if ranker != challenger
        }
    return _MeasuredSlice(
        SliceRecord(
            name=part.name,
            attribute=part.attribute,
            label=part.label,
            users=len(users),
            targets=int(part.mask.sum()),
            metrics=metrics,
            differences=differences,
        ),
        _per_user_table(part, targets, by_ranker, names),
    )


def _per_user_table(
    part: Slice, targets: Targets, by_ranker: Mapping[str, UserMeans], names: Sequence[str]
) -> pa.Table:
    tables = []
    for ranker, means in by_ranker.items():
        n = len(means.users)
        data = {
            record.SLICE: pa.array([part.name] * n, pa.string()),
            record.RANKER: pa.array([ranker] * n, pa.string()),
            columns.USER: pa.array(targets.users.to_ids(means.users), pa.string()),
            record.TARGETS: pa.array(means.targets, pa.int64()),
        }
        data |= {m: pa.array(means.means[:, column], pa.float64()) for column, m in enumerate(names)}
        tables.append(pa.table(data))
    return pa.concat_tables(tables)


def _exposure_table(
    targets: Targets, answers: Mapping[str, _Answers], items: IdMap, train_counts: Int64
) -> pa.Table:
    return pa.table(
        {
            columns.ITEM: pa.array(items.ids, pa.string()),
            TRAIN_COUNT: pa.array(train_counts, pa.int64()),
            record.TARGET_COUNT: pa.array(np.bincount(targets.items, minlength=len(items)), pa.int64()),
            **{record.SHOWN + name: pa.array(a.shown, pa.int64()) for name, a in answers.items()},
        }
    )


def _counts(selection: Selection) -> TargetCounts:
    return TargetCounts(
        found=selection.found,
        found_users=selection.found_users,
        repeats_excluded=selection.repeats,
        sampled_out=selection.unsampled,
        evaluated=len(selection.targets),
        users=len(selection.targets.users),
        first=isoformat(from_microseconds(int(selection.targets.times.min()))),
        last=isoformat(from_microseconds(int(selection.targets.times.max()))),
    )
