"""Take new items into an open release: give them a row, and tell its models what stands in it."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from slate.clock import Clock, SystemClock, microseconds
from slate.data.features import FeatureSpace, encode_records
from slate.data.vocabulary import IdMap
from slate.feedback.state import ItemChange
from slate.ranking.scorer import Ranker
from slate.recommend.arrays import Floats, Rows
from slate.recommend.newcomers.group import Group
from slate.retrieval.query import QueryEncoder

_log = logging.getLogger(__name__)

_MICROSECONDS: Final = 1e6
#: Ids of refused items that are told apart.
_MOST_REFUSED: Final = 100_000


class Newcomers:
    """The new items of one open release; see :class:`slate.recommend.live.base.TakesItems`.

    What the release knows already is none. An item keeps its row until the release is closed, also when it is
    sent again or taken down. Those for which no row is left, or no model, are ``refused``.

    Args:
        changed: called with the group after every change, before any request meets it.
    """

    def __init__(
        self,
        catalogue: IdMap,
        features: FeatureSpace,
        encoder: QueryEncoder,
        ranker: Ranker,
        changed: Callable[[Group], None],
        clock: Clock | None = None,
    ) -> None:
        self.version = 0
        self.group = Group(len(catalogue))
        self._catalogue = catalogue
        self._features = features
        self._encoder = encoder
        self._ranker = ranker
        self._changed = changed
        self._clock = clock or SystemClock()
        self._spare = min(encoder.spare, ranker.spare)
        self._refused: set[str] = set()

    @property
    def shown(self) -> int:
        """How many items have one."""
        return len(self.group)

    @property
    def refused(self) -> int:
        """How many items have no row."""
        return len(self._refused)

    def take(self, changes: Sequence[ItemChange]) -> None:
        """Learn of changes in order of their versions; called by one thread at a time."""
        latest = {change.item_id: change for change in changes if change.available}
        known = [each for item, each in latest.items() if item in self.group.rows]
        new = [each for item, each in latest.items() if item not in self.group.rows]
        self._place([*known, *self._fitting([each for each in new if each.item_id not in self._catalogue])])
        if changes:
            self.version = changes[-1].version

    def _fitting(self, new: Sequence[ItemChange]) -> Sequence[ItemChange]:
        room = self._spare - len(self.group)
        late = [each.item_id for each in new[room:]]
        if late and not self._refused:
            _log.warning(
                "%d new items are not shown: the release has %d rows for them (serving.new_items)",
                len(late),
                self._spare,
            )
        self._refused.update(late[: max(0, _MOST_REFUSED - len(self._refused))])
        return new[:room]

    def _place(self, items: Sequence[ItemChange]) -> None:
        if not items:
            return
        encoded = encode_records(self._features.items, [each.features for each in items])
        embeddings = self._encoder.embed_items(encoded, len(items))
        group, rows = _grown(self.group, items, embeddings, microseconds(self._clock.now()))
        self._encoder.put_items(rows, embeddings)
        self._ranker.put_items(rows, encoded, embeddings)
        self._changed(group)
        self.group = group


def _grown(group: Group, items: Sequence[ItemChange], embeddings: Floats, now: int) -> tuple[Group, Rows]:
    """The group with ``items`` in it, the new ones at its end, and the row of each."""
    ids, features, since = list(group.ids), list(group.features), group.since.tolist()
    vectors = list(group.embeddings)
    rows = []
    for item, vector in zip(items, embeddings, strict=True):
        row = group.rows.get(item.item_id)
        if row is None:
            rows.append(group.first + len(ids))
            ids.append(item.item_id)
            features.append(item.features)
            # A clock ahead of ours would hide the item for as long as it is.
            since.append(min(now, round(item.at * _MICROSECONDS)))
            vectors.append(vector)
        else:
            rows.append(row)
            features[row - group.first] = item.features
            vectors[row - group.first] = vector
    grown = Group(group.first, tuple(ids), tuple(features), np.asarray(since, np.int64), np.stack(vectors))
    return grown, np.asarray(rows, np.int32)
