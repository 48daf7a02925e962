"""The value of one policy from a store: its log, the releases that answered, and the one in question."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from slate import columns
from slate.config import Event, ExplorationConfig, RecommendConfig, parse_section
from slate.errors import DataError
from slate.evaluation.off_policy.doubly_robust import crossfitted
from slate.evaluation.off_policy.estimate import Estimates, estimate
from slate.evaluation.off_policy.logged import Floats, Logged
from slate.evaluation.off_policy.policies import Policy, chosen, drawn
from slate.evaluation.off_policy.slots import OTHERS, PROPENSITY, RELEASE, REWARD, Slots, read_slots
from slate.feedback.log import read_events
from slate.release.resolve import open_verified
from slate.release.verify import read_manifest
from slate.storage import ObjectStore

#: How many slates a release is asked for at most.
MOST: Final = 20_000


@dataclass(frozen=True)
class Question:
    """What to estimate, and on which slates.

    Attributes:
        events: the data set's, by name, with their weights.
        window: how long after a slate was shown an outcome counts.
        since: the first day; the log's where None.
        whole_slate: count all that came of a slate, instead of the slot's item alone.
        minimum: the smallest effective number of slates.
        clip: lower weights to this; None leaves them.
    """

    events: Mapping[str, Event]
    now: datetime
    window: timedelta
    since: date | None = None
    whole_slate: bool = False
    minimum: float = 100.0
    clip: float | None = None


@dataclass(frozen=True)
class Compared:
    """Estimates of a policy, and what has to be known beside them."""

    policy: str
    estimates: Estimates
    notes: tuple[str, ...]


def compare_policy(store: ObjectStore, policy: Policy, question: Question) -> Compared:
    """The value of showing the order's own item (``greedy``), or any of its pool alike (``uniform``).

    Raises:
        DataError: the log cannot tell; see :func:`read_slots`, :func:`drawn` and :func:`estimate`.
        NotFoundError: the store lacks a release that answered.
    """
    slots = _read(store, question)
    releases = sorted(slots.table[RELEASE].unique().to_pylist())
    found = drawn(slots, {release: _exploration(store, release) for release in releases})
    inputs = slots.numbers(OTHERS)[:, None]
    logged = _logged(slots, chosen(policy, found), inputs, inputs)
    return Compared(policy, _estimated(logged, question, supported=True), _notes(slots, question))


def compare_release(store: ObjectStore, reference: str, question: Question, most: int = MOST) -> Compared:
    """The value of having a release fill the slot.

    Args:
        reference: a channel, a release id or its beginning.
        most: ask for so many slates at most, evenly spread over the log.

    Raises:
        DataError: the log cannot tell, or holds no slate that is later than the release's data.
        ReleaseError, NotFoundError: the release cannot be opened.
    """
    from slate.evaluation.off_policy.release import answers, open_target

    opened = open_verified(reference, store)
    watermark = datetime.fromisoformat(opened.manifest.dataset.watermark)
    slots = _read(store, question)
    later = np.array([at > watermark for at in slots.table[columns.TIMESTAMP].to_pylist()])
    if not later.any():
        raise DataError(
            f"release {opened.manifest.release_id} learnt from data up to {watermark}, after all "
            f"{later.size} exploring slates: it knows what came of them; serve on, and ask again"
        )
    notes = list(_notes(slots, question))
    if not later.all():
        notes.append(f"{int((~later).sum()):,} slates from before the release's watermark are left out")
    slots = slots.kept(later)
    size = slots.table.num_rows
    if size > most:
        spread = np.zeros(size, np.bool_)
        spread[np.linspace(0, size - 1, most).astype(np.int64)] = True
        slots = slots.kept(spread)
        notes.append(f"{most:,} of {size:,} slates were asked for, evenly spread")
    found = answers(open_target(opened), slots, read_events(store))
    logged = _logged(slots, found.agrees.astype(np.float64), found.shown, found.wanted)
    estimates = _estimated(logged, question, supported=False)
    notes.append(
        f"its item could have been drawn in about {estimates.support:.0%} of the slates: inverse propensity "
        "counts the others as nothing, self-normalised leaves them out, doubly robust believes its model"
    )
    return Compared(opened.manifest.release_id, estimates, tuple(notes))


def _read(store: ObjectStore, question: Question) -> Slots:
    return read_slots(
        store,
        question.events,
        question.now,
        question.window,
        whole_slate=question.whole_slate,
        since=question.since,
    )


def _exploration(store: ObjectStore, release_id: str) -> ExplorationConfig:
    config = read_manifest(store, release_id).config
    return parse_section(RecommendConfig, config.get("recommend", {})).exploration


def _logged(slots: Slots, chances: Floats, shown: Floats, wanted: Floats) -> Logged:
    users, rewards = slots.users, slots.numbers(REWARD)
    modelled, expected = crossfitted(users, rewards, shown, wanted)
    return Logged(users, rewards, chances / slots.numbers(PROPENSITY), modelled, expected)


def _estimated(logged: Logged, question: Question, supported: bool) -> Estimates:
    return estimate(logged, minimum=question.minimum, clip=question.clip, supported=supported)


def _notes(slots: Slots, question: Question) -> tuple[str, ...]:
    found = []
    if slots.certain:
        found.append(f"{slots.certain:,} slates without a choice at the slot tell nothing and are left out")
    if slots.young:
        found.append(f"of {slots.young:,} slates younger than {question.window} outcomes may still come")
    return tuple(found)
