"""A time of the log against one release: every figure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtri

from slate import columns
from slate.config import MonitoringConfig
from slate.data.drift.figures import Shares
from slate.data.drift.measures import CHANCE
from slate.data.findings import Severity, resolve
from slate.monitoring.calibration import Calibration, calibrate
from slate.monitoring.figures import WATCHES, Figure
from slate.monitoring.log import EXPOSURE, LATENCY, POSITION, RUNG, Log
from slate.monitoring.quality import Quality, qualities, without_items
from slate.monitoring.reference import Reference
from slate.monitoring.shares import Bins, Counted, Distribution, Values, count, moved
from slate.monitoring.traffic import (
    SHOWN_ITEMS,
    Known,
    codes_of,
    group_names,
    group_of,
    like,
    observed,
    places,
    weights_of,
)
from slate.recommend.online.ladder import PERSONALISED

_OFF: Final = "off"
_ITEMS: Final = 300
_DEVIATES: Final = float(ndtri(1 - CHANCE))


@dataclass(frozen=True)
class Release:
    """What of a release is needed to judge its traffic.

    ``statistics`` are those it ships; ``events`` by name, each with ``weight`` and ``weight_by``.
    ``reference`` is None where the release ships none.
    """

    release_id: str
    known: Known
    statistics: Mapping[str, Any]
    events: Mapping[str, Any]
    reference: Reference | None


@dataclass(frozen=True)
class Measured:
    """All figures of one release in one time, with what charts need. ``outcomes`` are of complete slates."""

    slates: int
    users: int
    outcomes: int
    figures: tuple[Figure, ...]
    quality: tuple[Quality, ...]
    calibration: Calibration | None
    shares: tuple[Shares, ...]
    notes: tuple[str, ...]


def measure(log: Log, release: Release, config: MonitoringConfig) -> Measured:
    """Judge what a release showed; ``log`` may hold other releases' slates too.

    Raises:
        ConfigError: ``monitoring.severities`` names an unknown figure.
    """
    return _Judge(log.of(release.release_id), release, config).measured()


class _Judge:
    def __init__(self, log: Log, release: Release, config: MonitoringConfig) -> None:
        self._log = log
        self._release = release
        self._config = config
        self._severities = resolve(config.severities, WATCHES, "monitoring.severities")
        self._items = frozenset(release.known.items[columns.ITEM].to_pylist())
        self._shares: list[Shares] = []
        self._calibration: Calibration | None = None
        self._answered = 0
        self._notes: list[str] = []

    def measured(self) -> Measured:
        exposures = self._log.exposures
        each = list(qualities(exposures))
        figures = [
            *self._drifted(),
            *self._acted(),
            *self._calibrated(),
            *(figure for quality, own in each for figure in self._served(quality, own)),
        ]
        order = [watch.name for watch in WATCHES]
        figures.sort(key=lambda figure: order.index(figure.name))
        return Measured(
            exposures.num_rows,
            pc.count_distinct(exposures[columns.USER]).as_py(),
            self._answered,
            tuple(figures),
            tuple(quality for quality, _ in each),
            self._calibration,
            tuple(self._shares),
            tuple(self._notes),
        )

    def _drifted(self) -> Iterator[Figure]:
        """Who asked, what they asked, what was shown and with which scores."""
        exposures, known = self._log.exposures, self._release.known
        users = codes_of(exposures[columns.USER])
        new = pc.invert(
            pc.is_in(exposures[columns.USER].combine_chunks(), known.users[columns.USER].combine_chunks())
        )
        _, first = np.unique(users, return_index=True)
        yield from self._share("new_users", "", users[first], new.to_numpy(False)[first])
        reference = self._release.reference
        if reference is None:
            self._notes.append(
                "This release ships no description of its own slates: drift of who asks and of what is shown "
                "cannot be judged. The next release does."
            )
            return
        now = {
            (name, subject): values for name, subject, values in observed(exposures, known, reference.context)
        }
        for (name, subject), before in reference.distributions.items():
            values = now.get((name, subject))
            if values is None:
                values = Values(np.empty(0, np.int64), np.empty(0))
            values = like(values, before.bins.edges is not None)
            yield from self._index(name, subject, before, values)
            if name == SHOWN_ITEMS:
                yield from self._rise("shown_rise", before, values)

    def _acted(self) -> Iterator[Figure]:
        """What users did, with slates of this release and without any, against the training data."""
        done = pa.concat_tables(
            table.select([columns.USER, columns.ITEM, columns.EVENT])
            for table in (self._log.outcomes, self._log.organic)
        )
        users = codes_of(done[columns.USER])
        items = done[columns.ITEM].combine_chunks()
        old = pc.is_in(items, self._release.known.items[columns.ITEM].combine_chunks())
        is_old = old.to_numpy(False)
        described = self._release.statistics.get("interactions", {})
        rows, people = float(described.get("rows", 0)), int(described.get("users", 0))
        on_known = Values(users[is_old], items.filter(old))
        for name, counts, own in (
            ("acted_items", described.get("popularity", {}), on_known),
            ("event_mix", described.get("events", {}), Values(users, done[columns.EVENT].combine_chunks())),
        ):
            before = _distribution(counts, rows, people, _ITEMS)
            now = count(own, before.bins)
            # The training data tell no spread over users: as much as now, over more users.
            before = _with_variances(before, now)
            yield from self._index(name, "", before, own)
            if name == "acted_items":
                yield from self._rise("acted_rise", before, own)
        yield from self._share("new_items", "", users, ~is_old)

    def _calibrated(self) -> Iterator[Figure]:
        """Engagement that personalised slates promised against what came, where all of it has come."""
        exposures = self._log.exposures
        over = pc.less(exposures[columns.TIMESTAMP], pa.scalar(self._log.complete, pa.timestamp("us", "UTC")))
        complete = exposures.filter(pc.and_(over, pc.equal(exposures[RUNG], PERSONALISED)))
        left = exposures.num_rows - int(pc.sum(over).as_py() or 0)
        if left:
            self._notes.append(
                f"{left:,} of {exposures.num_rows:,} slates wait for outcomes; calibration leaves them out."
            )
        shown = places(complete)
        scores = shown[columns.SCORE].to_numpy()
        came = self._came(complete, shown)
        owners = codes_of(complete[columns.USER])[shown["slate"].to_numpy()] if complete.num_rows else scores
        finite = np.isfinite(scores)
        few = len(np.unique(owners[finite])) < self._config.min_users
        if few:
            for name in ("calibration", "calibration_shape"):
                yield from self._figure(name, "", None, 0.0, "too few users with complete slates")
            return
        self._calibration = calibrate(
            owners[finite],
            scores[finite],
            came[finite],
            group_of(shown[POSITION].to_numpy()[finite]),
            group_names(),
        )
        for name, judged in (
            ("calibration", self._calibration.level),
            ("calibration_shape", self._calibration.shape),
        ):
            limit = float(getattr(self._config, name)) + judged.chance
            note = "" if judged.value is not None else "nothing came, or nothing was expected"
            yield from self._figure(name, "", judged.value, limit, note)

    def _came(self, exposures: pa.Table, shown: pa.Table) -> npt.NDArray[np.float64]:
        """What the outcomes of each item shown are worth."""
        outcomes = self._log.outcomes
        place = {
            key: row
            for row, key in enumerate(
                zip(
                    exposures[EXPOSURE].take(shown["slate"]).to_pylist(),
                    shown[columns.ITEM].to_pylist(),
                    strict=True,
                )
            )
        }
        came = np.zeros(shown.num_rows, np.float64)
        keys = zip(outcomes[EXPOSURE].to_pylist(), outcomes[columns.ITEM].to_pylist(), strict=True)
        for key, weight in zip(keys, weights_of(outcomes, self._release.events), strict=True):
            at = place.get(key)
            if at is not None:
                came[at] += weight
                self._answered += 1
        return came

    def _served(self, quality: Quality, exposures: pa.Table) -> Iterator[Figure]:
        """How one variant answered."""
        users = codes_of(exposures[columns.USER])
        degraded = pc.not_equal(exposures[RUNG], PERSONALISED).to_numpy()
        yield from self._share("degraded", quality.variant, users, degraded)
        yield from self._share("empty", quality.variant, users, without_items(exposures))
        times = exposures[LATENCY].to_numpy()
        timed = np.isfinite(times)
        slow = times[timed] > self._config.slow_ms
        yield from self._share("slow", quality.variant, users[timed], slow)

    def _index(self, name: str, subject: str, before: Distribution, values: Values) -> Iterator[Figure]:
        people = len(np.unique(values.users))
        limit = float(getattr(self._config, name))
        if min(people, before.users) < self._config.min_users:
            side = "now" if people < before.users else "when the release was made"
            note = f"only {min(people, before.users)} users {side}"
            yield from self._figure(name, subject, None, limit, note)
            return
        found = moved(before, count(values, before.bins))
        note = "few users, so the limit is what chance makes" if found.chance > limit else ""
        yield from self._figure(
            name, subject, found.value, max(limit, found.chance), note, found.samples if subject else ()
        )
        label = f"{name} · {subject}" if subject else name
        if self._severities[name] != _OFF:
            self._shares.append(
                Shares(label, found.bins, tuple(found.before.tolist()), tuple(found.now.tolist()))
            )

    def _rise(self, name: str, before: Distribution, values: Values) -> Iterator[Figure]:
        """The known item whose share rose most; of so many items one rises by chance."""
        limit = float(getattr(self._config, name))
        people = len(np.unique(values.users))
        if people < self._config.min_users or before.users == 0:
            yield from self._figure(name, "", None, limit, f"only {min(people, before.users)} users")
            return
        shares = dict(zip(before.bins.names or (), before.shares.tolist(), strict=False))
        entries = values.values.value_counts().to_pylist()  # type: ignore[union-attr]
        entries = [entry for entry in entries if entry["values"] in self._items]
        rows = len(values.users)
        if not entries:
            yield from self._figure(name, "", None, limit, "no item that the release knows")
            return
        risen = {e["values"]: e["counts"] / rows - shares.get(e["values"], 0.0) for e in entries}
        item = max(risen, key=lambda each: (risen[each], each))
        error = count(values, Bins(names=(item,))).covariance[0, 0]
        chance = float(ndtri(1 - CHANCE / len(risen)) * np.sqrt(max(error, 0.0)))
        samples = (f"{item} ({shares.get(item, 0.0):.1%}, now {shares.get(item, 0.0) + risen[item]:.1%})",)
        yield from self._figure(name, "", risen[item], limit + chance, "", samples)

    def _share(self, name: str, subject: str, users: npt.NDArray[np.int64], hits: Any) -> Iterator[Figure]:
        """A share of rows, users apart; its limit rises by what chance makes of it."""
        limit = float(getattr(self._config, name))
        people = len(np.unique(users))
        if people < self._config.min_users:
            yield from self._figure(name, subject, None, limit, f"only {people} users")
            return
        found = count(Values(users, np.asarray(hits, np.float64)), Bins(edges=(0.5,)))
        chance = _DEVIATES * float(np.sqrt(max(found.covariance[1, 1], 0.0)))
        yield from self._figure(name, subject, float(found.shares[1]), limit + chance)

    def _figure(
        self,
        name: str,
        subject: str,
        value: float | None,
        threshold: float,
        note: str = "",
        samples: tuple[str, ...] = (),
    ) -> Iterator[Figure]:
        severity = self._severities[name]
        if severity != _OFF:
            level: Severity = "error" if severity == "error" else "warning"
            yield Figure(name, subject, value, threshold, level, note, samples)


def _distribution(counts: Mapping[str, float], rows: float, users: int, most: int) -> Distribution:
    """What the statistics of a release list, as shares of the most common."""
    names = sorted(counts, key=lambda name: (-counts[name], name))[:most]
    shares = np.asarray([counts[name] / max(rows, 1.0) for name in names], np.float64)
    rest = max(0.0, 1.0 - float(shares.sum())) if names else 0.0
    zeros = np.zeros(len(names) + 2)
    return Distribution(Bins(names=tuple(names)), np.r_[shares, rest, 0.0], zeros, users if names else 0)


def _with_variances(before: Distribution, now: Counted) -> Distribution:
    spread = np.diag(now.covariance) * now.users / max(before.users, 1)
    return Distribution(before.bins, before.shares, spread, before.users)
