"""What was measured, as it is kept in the store: one object a day and release."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from slate.data.drift.figures import Shares
from slate.errors import ConflictError, DataError, NotFoundError
from slate.monitoring.calibration import Bucket, Calibration, Judged
from slate.monitoring.figures import SERVING, Figure
from slate.monitoring.measure import Measured
from slate.monitoring.quality import Quality
from slate.storage import ObjectStore

MONITORING: Final = "monitoring/"
_SCHEMA: Final = 1
_DATE: Final = "date="
_SUFFIX: Final = ".json"


@dataclass(frozen=True)
class Record:
    """What a release's traffic of one day (UTC) was like."""

    day: date
    release_id: str
    measured: Measured

    @property
    def key(self) -> str:
        return f"{MONITORING}{_DATE}{self.day}/{self.release_id}{_SUFFIX}"

    @property
    def findings(self) -> tuple[Figure, ...]:
        """The figures that do not pass, errors first."""
        failed = (figure for figure in self.measured.figures if not figure.passed)
        return tuple(sorted(failed, key=lambda figure: figure.severity != "error"))

    @property
    def moved(self) -> tuple[Figure, ...]:
        """The findings that a newer release may cure: those of the serving are not."""
        return tuple(figure for figure in self.findings if figure.kind != SERVING)

    @property
    def errors(self) -> tuple[Figure, ...]:
        return tuple(figure for figure in self.findings if figure.severity == "error")

    @property
    def judged(self) -> int:
        """How many figures have a value."""
        return sum(figure.value is not None for figure in self.measured.figures)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        measured = self.measured
        return {
            "schema": _SCHEMA,
            "day": self.day.isoformat(),
            "release_id": self.release_id,
            "slates": measured.slates,
            "users": measured.users,
            "outcomes": measured.outcomes,
            "figures": [figure.to_dict() for figure in measured.figures],
            "quality": [asdict(quality) for quality in measured.quality],
            "calibration": None if measured.calibration is None else _calibration(measured.calibration),
            "shares": [asdict(shares) for shares in measured.shares],
            "notes": list(measured.notes),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Record":
        """What :meth:`to_dict` gave.

        Raises:
            DataError: it is something else.
        """
        try:
            if found["schema"] != _SCHEMA:
                raise DataError(f"monitoring: has schema {found['schema']}, not {_SCHEMA}")
            calibration = found["calibration"]
            measured = Measured(
                found["slates"],
                found["users"],
                found["outcomes"],
                tuple(Figure.from_dict(figure) for figure in found["figures"]),
                tuple(Quality(**quality) for quality in found["quality"]),
                None if calibration is None else _read_calibration(calibration),
                tuple(Shares(s["subject"], *(tuple(s[n]) for n in _SIDES)) for s in found["shares"]),
                tuple(found["notes"]),
            )
            return cls(date.fromisoformat(found["day"]), found["release_id"], measured)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"monitoring: is no record of a day ({error!r}); measure it again") from error


_SIDES: Final = ("bins", "before", "now")


def write(store: ObjectStore, record: Record) -> None:
    """Keep a record; the one of the same day and release is replaced.

    Raises:
        StorageError: the store cannot be written.
    """
    content = json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False, indent=1).encode()
    while True:
        try:
            generation = store.read_versioned(record.key).generation
        except NotFoundError:
            generation = None
        try:
            store.compare_and_swap(record.key, content, generation)
        except ConflictError:
            continue
        return


def history(store: ObjectStore, until: date, days: int) -> list[Record]:
    """The records of the last days up to ``until``, by day and release.

    Raises:
        DataError: one is not as :func:`write` writes it.
    """
    found = []
    for key in store.list(MONITORING):
        day = _day(key)
        if day is not None and 0 <= (until - day).days < days:
            found.append(_read(store, key))
    return sorted(found, key=lambda record: (record.day, record.release_id))


def latest(store: ObjectStore, release_id: str) -> Record | None:
    """The newest record of a release.

    Raises:
        DataError: it is not as :func:`write` writes it.
    """
    keys = [key for key in store.list(MONITORING) if _day(key) and key.endswith(f"/{release_id}{_SUFFIX}")]
    return _read(store, max(keys)) if keys else None


def _read(store: ObjectStore, key: str) -> Record:
    try:
        return Record.from_dict(json.loads(store.read(key)))
    except (ValueError, DataError) as error:
        raise DataError(f"{store.describe(key)}: cannot be read ({error})") from error


def _day(key: str) -> date | None:
    try:
        return date.fromisoformat(key.removeprefix(MONITORING).split("/")[0].removeprefix(_DATE))
    except ValueError:
        return None


def _calibration(found: Calibration) -> dict[str, Any]:
    return {
        "ratio": found.ratio,
        "level": found.level._asdict(),
        "shape": found.shape._asdict(),
        "scores": [asdict(bucket) for bucket in found.scores],
        "positions": [asdict(bucket) for bucket in found.positions],
    }


def _read_calibration(found: Mapping[str, Any]) -> Calibration:
    return Calibration(
        tuple(Bucket(**bucket) for bucket in found["scores"]),
        tuple(Bucket(**bucket) for bucket in found["positions"]),
        found["ratio"],
        Judged(**found["level"]),
        Judged(**found["shape"]),
    )
