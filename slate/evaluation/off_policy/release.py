"""What a release would have put at each slot, and what it expects of it.

It is asked what was asked then: the same user, context and instant, its own history of the user with what the
log knows from before that instant, and no chance in the order. Beside what the slate showed at its other
positions, its best remaining item takes the slot. Slates that are not later than the release's watermark are
left out: it learnt from what came of them.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slate import columns
from slate.clock import SystemClock
from slate.evaluation.off_policy.slots import CONTEXT, OTHERS, Slots
from slate.feedback.state import Happened, LiveUser
from slate.recommend.live import NothingLive
from slate.recommend.recommender import Recommender
from slate.recommend.request import Request
from slate.recommend.stages.prepare import Preparation
from slate.release.resolve import OpenRelease

Floats = npt.NDArray[np.float64]

_AT_ONCE: Final = 256


@dataclass(frozen=True)
class Answers:
    """Of each slot: whether the release would show what was shown, and inputs [slots, 3] of a model.

    Inputs are the release's own score of the item, the mean score of the slate's others as it was logged, and
    whether the item was among the release's candidates at all (else its score is that of the least of them).
    """

    agrees: npt.NDArray[np.bool_]
    shown: Floats
    wanted: Floats


def open_target(found: OpenRelease) -> Recommender:
    """A release that orders without chance."""
    recommend = dict(found.manifest.config.get("recommend", {}))
    recommend["exploration"] = {**recommend.get("exploration", {}), "rate": 0.0}
    sections = {**found.manifest.config, "recommend": recommend}
    return Recommender(found.path, sections, found.manifest.release_id)


def answers(recommender: Recommender, slots: Slots, events: pa.Table) -> Answers:
    """Ask a release for each slot.

    Args:
        events: the log's, as :func:`slate.feedback.log.read_events` gives them.
    """
    past = _past(events, set(slots.table[columns.USER].to_pylist()))
    preparation = Preparation(recommender.opened, NothingLive(), SystemClock())
    rows = slots.table.select([columns.USER, columns.ITEM, columns.TIMESTAMP, CONTEXT, OTHERS]).to_pylist()
    agrees, shown, wanted = [], [], []
    for start in range(0, len(rows), _AT_ONCE):
        part, slates = rows[start : start + _AT_ONCE], slots.slates[start : start + _AT_ONCE]
        for row, slate, answer in zip(
            part, slates, _asked(recommender, preparation, part, slates, past), strict=True
        ):
            others = {item for item in slate if item != row[columns.ITEM]}
            choice = next((item for item in answer.order if item not in others), None)
            agrees.append(choice == row[columns.ITEM])
            shown.append(_inputs(row[columns.ITEM], answer.scores, row[OTHERS]))
            wanted.append(_inputs(choice, answer.scores, row[OTHERS]))
    return Answers(np.array(agrees, np.bool_), np.array(shown), np.array(wanted))


@dataclass(frozen=True)
class _Answer:
    order: Sequence[str]
    scores: Mapping[str, float]


def _asked(
    recommender: Recommender,
    preparation: Preparation,
    rows: Sequence[Mapping[str, Any]],
    slates: Sequence[Sequence[str]],
    past: Mapping[str, list[Happened]],
) -> list[_Answer]:
    requests = [
        Request(
            user_id=row[columns.USER],
            context=_context(row[CONTEXT]),
            at=row[columns.TIMESTAMP],
            k=len(slate),
        )
        for row, slate in zip(rows, slates, strict=True)
    ]
    asks = [preparation.ask(each, LiveUser(_before(past, each.user_id, each.at))) for each in requests]
    funnel = recommender.funnel
    scored = funnel.score(asks, funnel.filter(asks, funnel.retrieve(asks)))
    found = funnel.order(asks, requests, scored)
    ids = recommender.opened.ids
    return [
        _Answer(slate.item_ids, dict(zip(ids.to_ids(each.rows), map(float, each.scores), strict=True)))
        for slate, each in zip(found, scored, strict=True)
    ]


def _inputs(item: str | None, scores: Mapping[str, float], others: float) -> tuple[float, float, float]:
    known = scores.get(item) if item is not None else None
    least = min(scores.values(), default=0.0)
    return (least if known is None else known, others, float(known is not None))


def _past(events: pa.Table, users: set[str]) -> dict[str, list[Happened]]:
    """What these users did, by user and in the order of time."""
    found: dict[str, list[Happened]] = {}
    names = [columns.USER, columns.ITEM, columns.EVENT, columns.TIMESTAMP]
    for user, item, event, at in zip(*(events[name].to_pylist() for name in names), strict=True):
        if user in users:
            found.setdefault(user, []).append(Happened("", item, event, at.timestamp()))
    return found


def _before(
    past: Mapping[str, list[Happened]], user: str | None, at: datetime | None
) -> tuple[Happened, ...]:
    own = past.get(user or "", [])
    instant = at.timestamp() if at is not None else 0.0
    return tuple(own[: bisect_left(own, instant, key=lambda one: one.at)])


def _context(text: str | None) -> Mapping[str, object]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
