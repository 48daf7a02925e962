"""Engagement of parts of the users, to be read and not to be decided by.

The parts come from the log (how a user's first slate was answered, what they did before the rollout) and from
the users that the candidate's release ships: whether it knew enough of them, and their sensitive attributes.
Intervals are plain ones of this one look, not confidence sequences.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import DatasetConfig, EvaluationConfig, Event, RolloutConfig, parse_section
from slate.errors import SlateError
from slate.evaluation.forest import Forest, Row, bar, short, span_of
from slate.recommend.online.ladder import PERSONALISED
from slate.recommend.users import FEATURE, FILE, ITEMS, users_table
from slate.release.channels import CANDIDATE, STABLE
from slate.release.layout import release_prefix
from slate.release.manifest import Manifest
from slate.release.verify import read_manifest
from slate.rollout.judge.evidence import SHADOW_STEP
from slate.rollout.judge.log import RUNG, VARIANT, Log, read_log
from slate.rollout.judge.observations import engaged_users
from slate.rollout.judge.sequences import difference, sample
from slate.rollout.state import State
from slate.storage import ObjectStore

_Z: Final = 1.959963984540054
_FEWEST: Final = 2
#: An attribute's most frequent values; the others are not drawn.
_VALUES: Final = 6
#: A larger file of users is not read for a page.
_MOST_BYTES: Final = 256 * 2**20
_ALL: Final = "all users"


@dataclass(frozen=True)
class Slice:
    """Users of one kind: how many of each arm, their mean engagement, and the difference with 95% bounds."""

    name: str
    detail: str
    users: tuple[int, int]
    stable: float
    candidate: float
    value: float
    low: float
    high: float


def read_slices(
    store: ObjectStore, state: State, config: RolloutConfig, now: datetime
) -> tuple[tuple[Slice, ...], str | None]:
    """The slices of the step that the rollout is in, or ended in; or why there are none."""
    if state.step == SHADOW_STEP:
        return (), "No user has met the candidate."
    step = state.judged()
    if state.ended:
        ended = datetime.fromisoformat(state.at)
        now = min(now, ended + timedelta(seconds=config.window_s + config.settle_s))
    config = config.model_copy(update={"allocation": state.allocation})
    try:
        manifest = read_manifest(store, state.release_id)
        events = {
            name: Event(weight=each.weight, weight_by=each.weight_by)
            for name, each in manifest.events.items()
        }
        before = step.rollout_started - timedelta(seconds=config.window_s)
        log = read_log(store, events, step, now, before)
        if log.shown.num_rows == 0:
            return (), f"The log holds no slates of step {step.name}."
        users = engaged_users(log, config, now)
    except SlateError as error:
        return (), f"They cannot be told: {error}"
    if users.num_rows == 0:
        return (), f"No user's {config.window_s:g} s of step {step.name} are over."
    parts = {
        _ALL: pa.array([_ALL] * users.num_rows),
        **_of_log(users, log),
        **_of_release(store, manifest, users),
    }
    found = [each for name, labels in parts.items() for each in _measured(name, labels, users)]
    return tuple(found), None


def forest(slices: tuple[Slice, ...]) -> Forest:
    """Differences on one scale."""
    drawn = [each for each in slices if np.isfinite([each.value, each.low, each.high]).all()]
    span = span_of([bound for each in drawn for bound in (each.low, each.high, 0.0)], None)
    rows = [
        Row(
            each.name,
            each.detail,
            bar(each.value, each.low, each.high, *span, _tone(each), signed=True),
            each.name == _ALL,
        )
        for each in drawn
    ]
    return Forest("", rows, short(span[0]), short(span[1]))


def _tone(each: Slice) -> str:
    return "good" if each.low > 0 else "bad" if each.high < 0 else "plain"


def _of_log(users: pa.Table, log: Log) -> dict[str, pa.Array]:
    active = pc.is_in(users[columns.USER].combine_chunks(), log.before[columns.USER].combine_chunks())
    ordered = log.shown.sort_by([(columns.TIMESTAMP, "ascending")])
    rungs = dict(
        zip(reversed(ordered[columns.USER].to_pylist()), reversed(ordered[RUNG].to_pylist()), strict=True)
    )
    first = pa.array([rungs.get(user) == PERSONALISED for user in users[columns.USER].to_pylist()])
    return {
        "before the rollout": pc.if_else(active, "did something", "did nothing"),
        "first slate": pc.if_else(first, "personalised", "a lower rung"),
    }


def _of_release(store: ObjectStore, manifest: Manifest, users: pa.Table) -> dict[str, pa.Array]:
    """What the release ships of its users; nothing where that cannot be read."""
    key = f"{release_prefix(manifest.release_id)}{FILE}"
    sizes = {f"{release_prefix(manifest.release_id)}{each.path}": each.size for each in manifest.files}
    if not 0 < sizes.get(key, 0) <= _MOST_BYTES:
        return {}
    names = parse_section(DatasetConfig, manifest.config.get("dataset", {})).sensitive_attributes
    enough = parse_section(EvaluationConfig, manifest.config.get("evaluation", {})).cold_user_history
    try:
        shipped = users_table(store.read(key))
    except (SlateError, pa.ArrowException):
        return {}
    at = pc.index_in(users[columns.USER].combine_chunks(), shipped[columns.USER].combine_chunks())
    lengths = pc.fill_null(pc.list_value_length(shipped[ITEMS].combine_chunks()).take(at), 0)
    cold = f"fewer than {enough} interactions"
    found = {"known to the release": pc.if_else(pc.less(lengths, enough), cold, f"{enough} and more")}
    for name in (name for name in names if FEATURE + name in shipped.column_names):
        values = shipped[FEATURE + name].combine_chunks().take(at)
        if not pa.types.is_nested(values.type):
            found[name] = values.cast(pa.string())
    return found


def _measured(name: str, labels: Any, users: pa.Table) -> list[Slice]:
    counted = pc.value_counts(labels).to_pylist()
    counted.sort(key=lambda each: (-each["counts"], str(each["values"])))
    values = [each["values"] for each in counted if each["values"] is not None][:_VALUES]
    return [_slice(name, value, users.filter(pc.equal(labels, value))) for value in values]


def _slice(name: str, value: str, users: pa.Table) -> Slice:
    arms = [users.filter(pc.equal(users[VARIANT], arm)) for arm in (STABLE, CANDIDATE)]
    stable, candidate = (sample(arm["engagement"].to_numpy(), arm["weight"].to_numpy()) for arm in arms)
    found = difference(stable, candidate)
    half = _Z * np.sqrt(found.variance)
    counts = (arms[0].num_rows, arms[1].num_rows)
    return Slice(
        name=name if name == _ALL else f"{name}: {value}",
        detail=f"{counts[0]:,} and {counts[1]:,} users",
        users=counts,
        stable=float(stable.mean),
        candidate=float(candidate.mean),
        value=float(found.value),
        low=float(found.value - half),
        high=float(found.value + half),
    )
