"""The checks of a comparison, and the figures that it yields."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from slate.data.findings import Severity

SAMPLES: Final = 5


@dataclass(frozen=True)
class DriftCheck:
    """A kind of figure and what it means when it is too large."""

    name: str
    severity: Severity
    what: str
    fix: str
    required: bool = False


#: In the order of a report.
CHECKS: Final = (
    DriftCheck(
        "schema_changed", "error", "columns that went or hold another type than in the last release",
        "restore them, or retrain from scratch with drift.severities.schema_changed=warning",
    ),
    DriftCheck("schema_added", "warning", "columns that the last release did not have", "nothing, if meant"),
    DriftCheck(
        "shrunk_table", "error", "share of a table's rows that went since the last release",
        "look for an incomplete export",
    ),
    DriftCheck("new_items", "warning", "share of items that the last release did not know",
               "expect cold items; check that ids did not change their form"),
    DriftCheck("vanished_items", "warning", "share of the last release's items that are gone",
               "check that ids did not change their form"),
    DriftCheck("new_users", "warning", "share of users that the last release did not know",
               "check that ids did not change their form"),
    DriftCheck("vanished_users", "warning", "share of the last release's users that are gone",
               "check that ids did not change their form"),
    DriftCheck("popularity", "warning", "divergence of the items' shares of interactions, bits",
               "look at what became popular, and at bots"),
    DriftCheck("top_items", "warning", "share of the 100 most popular items that no longer are",
               "look at what became popular, and at bots"),
    DriftCheck("event_mix", "warning", "divergence of the events' shares, bits",
               "look for an event that is logged twice or no more"),
    DriftCheck("rows_per_day", "warning", "relative change of interactions a day, last 28 days",
               "look for days that are missing or loaded twice"),
    DriftCheck("engagement", "warning", "relative change of engagement per active user, last 28 days",
               "look at daily engagement: slate data engagement"),
    DriftCheck("feature", "warning", "population stability index of a feature",
               "look at its distribution; a new unit or a new coding is usual"),
    DriftCheck("missing", "warning", "rise of a feature's share of missing values",
               "look for what stopped writing it"),
)  # fmt: skip
_BY_NAME: Final = {check.name: check for check in CHECKS}


class Entities(NamedTuple):
    """The ids of one snapshot."""

    items: Collection[str]
    users: Collection[str]


class Measured(NamedTuple):
    """A figure before it meets its threshold; ``chance`` is what it exceeds by chance in 1 of 1,000 cases."""

    subject: str
    value: float | None
    note: str = ""
    samples: tuple[str, ...] = ()
    chance: float = 0.0


@dataclass(frozen=True)
class Figure:
    """One measured value. ``value`` None: not comparable, ``note`` says why; that passes.

    ``subject`` is the table, ``table.feature`` or empty. ``samples`` names a few of what is meant.
    """

    name: str
    subject: str
    value: float | None
    threshold: float
    severity: Severity
    note: str = ""
    samples: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.value is None or self.value <= self.threshold

    @property
    def what(self) -> str:
        return _BY_NAME[self.name].what

    @property
    def fix(self) -> str:
        return _BY_NAME[self.name].fix

    def __str__(self) -> str:
        subject = f" of {self.subject}" if self.subject else ""
        shown = "not comparable" if self.value is None else f"{self.value:.3g}"
        sample = f", such as {', '.join(self.samples)}" if self.samples else ""
        return f"{self.name}{subject}: {shown} (limit {self.threshold:g}; {self.what}{sample}); {self.fix}"


@dataclass(frozen=True)
class Shares:
    """One feature's distribution before and now, over the same bins; for charts."""

    subject: str
    bins: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """All figures of one comparison."""

    figures: tuple[Figure, ...]
    shares: tuple[Shares, ...] = ()

    @property
    def findings(self) -> tuple[Figure, ...]:
        """The figures that do not pass, errors first."""
        return tuple(sorted((f for f in self.figures if not f.passed), key=lambda f: f.severity != "error"))

    @property
    def errors(self) -> tuple[Figure, ...]:
        return tuple(f for f in self.findings if f.severity == "error")

    def to_dict(self) -> dict[str, Any]:
        return {"figures": [{**asdict(f), "passed": f.passed} for f in self.figures]}
