"""What an update forgot: its parent's own period, asked by users whom neither was ever trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import EvaluationConfig
from slate.data.holdout import Split
from slate.evaluation.compare import compare
from slate.evaluation.holdout import Holdout
from slate.evaluation.intervals import Difference
from slate.evaluation.record import CHAMPION
from slate.recommend.recommender import Recommender

#: So many targets suffice: the evaluation itself is on the holdout.
_MOST_TARGETS: Final = 5_000


@dataclass(frozen=True)
class Forgetting:
    """The update minus its parent, on targets up to the parent's ``train_end``; ``metric`` as the gate's."""

    parent: str
    train_end: str
    metric: str
    targets: int
    difference: Difference

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def measure_forgetting(
    update: Recommender,
    parent: Recommender,
    split: Split,
    train_end: str,
    config: EvaluationConfig,
    events: Sequence[str],
) -> Forgetting | None:
    """Compare both on what the users of the unseen share did while the parent learnt from all others.

    Users are drawn whole, down to 5,000 targets. None where there is nothing to ask: no user is kept out of
    training, or none of them did anything in that period.
    """
    holdout = old_holdout(split, train_end)
    if holdout is None or not holdout.targets(events).num_rows:
        return None
    fewer = config.model_copy(update={"max_targets": min(config.max_targets, _MOST_TARGETS)})
    found = compare(update, holdout, fewer, events=events, champion=parent).record
    return Forgetting(
        parent.release_id,
        train_end,
        found.metric,
        found.targets.evaluated,
        found.overall.differences[CHAMPION],
    )


def old_holdout(split: Split, train_end: str) -> Holdout | None:
    """The unseen users' interactions up to ``train_end``, each to be predicted from those before it."""
    unseen = split.unseen()
    if not unseen:
        return None
    table = pa.concat_tables(unseen)
    old = table.filter(
        pc.less_equal(
            table[columns.TIMESTAMP],
            pa.scalar(datetime.fromisoformat(train_end), table.schema.field(columns.TIMESTAMP).type),
        )
    )
    if not old.num_rows:
        return None
    asked = pc.is_in(split.users[columns.USER], old[columns.USER].unique())
    record: Mapping[str, Any] = {**split.record, "protocol": "temporal"}
    return Holdout(old, old, split.users.filter(asked), record)
