"""Measure a challenger on a holdout, beside the baselines and, where there is one, the champion."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from slate import columns
from slate.config import EvaluationConfig
from slate.data.sequences import UserLog
from slate.data.vocabulary import IdMap
from slate.evaluation import baselines
from slate.evaluation.endpoint import endpoint_ranker
from slate.evaluation.holdout import Holdout, asks_for, histories
from slate.evaluation.measure import Ranker, baseline_ranker, measure
from slate.evaluation.rankers import funnel_ranker, retrieval_ranker
from slate.evaluation.record import CHAMPION, FUNNEL, RETRIEVAL, Evaluation
from slate.evaluation.targets import Targets
from slate.recommend.recommender import Recommender


def compare(
    challenger: Recommender,
    holdout: Holdout,
    config: EvaluationConfig,
    *,
    events: Sequence[str],
    sensitive: Sequence[str] = (),
    sensitive_items: Sequence[str] = (),
    train: pa.Table | None = None,
    champion: Recommender | None = None,
    endpoint: str | None = None,
) -> Evaluation:
    """Evaluate a recommender as it would serve, each target from what preceded it.

    Args:
        events: the names of the events that count as targets.
        sensitive: user attributes to slice by.
        sensitive_items: item attributes whose values' exposure is measured.
        train: the training interactions, to fit the baselines on; without it popularity comes from the
            release's own counts and the other baselines are left out.
        champion: a second release, measured on the same targets.
        endpoint: the address of a server; its answers take the place of the challenger's own.

    Raises:
        DataError: the holdout holds no target.
    """
    table = holdout.targets(events)
    known = set(challenger.catalogue.ids.ids) | set(table[columns.ITEM].to_pylist())
    if champion is not None:
        known |= set(champion.catalogue.ids.ids)
    items = IdMap.of(sorted(known))
    names = challenger.features.events
    log = UserLog.from_table(holdout.history, items, names)
    past = histories(holdout, log, table)
    targets = Targets(
        tuple(table[columns.USER].to_pylist()),
        items.known_rows(table[columns.ITEM].to_pylist()),
        table[columns.TIMESTAMP].cast(pa.int64()).to_numpy(),
        tuple(past),
        np.arange(table.num_rows, dtype=np.int64),
    )
    rankers: dict[str, Ranker] = {}
    if endpoint is None:
        asks = asks_for(challenger, holdout, table)
        rankers[FUNNEL] = funnel_ranker(challenger, asks, items)
        rankers[RETRIEVAL] = retrieval_ranker(challenger, asks, items)
    else:
        rankers[FUNNEL] = endpoint_ranker(endpoint, items, names, table)
    if champion is not None:
        rankers[CHAMPION] = funnel_ranker(champion, asks_for(champion, holdout, table), items)
    counts = np.zeros(len(items), np.int64)
    counts[items.known_rows(challenger.catalogue.ids.ids)] = challenger.catalogue.train_counts
    skipped: dict[str, str] = {}
    if train is None:
        order = np.argsort(-counts, kind="stable").astype(np.int32)
        rankers[baselines.POPULARITY] = baseline_ranker(baselines.Popularity(order))
        skipped |= dict.fromkeys(
            (baselines.MARKOV, baselines.EASE), "a release ships no training interactions"
        )
    else:
        codes = [names.index(event) + 1 for event in events]
        fitted = baselines.fit_baselines(
            UserLog.from_table(train, items, names),
            len(items),
            events=codes,
            ease_regularisation=config.ease_regularisation,
            ease_item_limit=config.ease_item_limit,
        )
        rankers |= {name: baseline_ranker(baseline) for name, baseline in fitted.models.items()}
        skipped |= fitted.skipped
    attributes: Mapping[str, Mapping[str, object]] = {
        name: {user: features.get(name) for user, features in holdout.features.items()} for name in sensitive
    }
    return measure(
        targets,
        rankers,
        items,
        counts,
        config,
        protocol=str(holdout.split["protocol"]),
        attributes=attributes,
        item_attributes=_item_attributes(challenger, items, sensitive_items),
        skipped=skipped,
    )


def _item_attributes(recommender: Recommender, items: IdMap, names: Sequence[str]) -> dict[str, list[object]]:
    """Raw item features by name and then row of ``items``; missing where the release lacks them."""
    table = recommender.catalogue.table
    rows = items.known_rows(recommender.catalogue.ids.ids)
    found: dict[str, list[object]] = {name: [None] * len(items) for name in names}
    for name in set(names) & set(table.column_names):
        for row, value in zip(rows, table[name].to_pylist(), strict=True):
            found[name][row] = value
    return found
