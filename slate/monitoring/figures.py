"""The figures of a day of traffic, and what each means when it is too large."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from slate.data.findings import Severity

Kind = Literal["data", "prediction", "calibration", "serving"]

DATA: Final = "data"
PREDICTION: Final = "prediction"
CALIBRATION: Final = "calibration"
SERVING: Final = "serving"


@dataclass(frozen=True)
class Watch:
    """A kind of figure and what it means when it is too large. Its limit is configured by ``name``."""

    name: str
    kind: Kind
    what: str
    fix: str
    severity: Severity = "warning"
    required: bool = False


#: In the order of a report.
WATCHES: Final = (
    Watch("user_features", DATA, "population stability index of a feature of who is shown slates",
          "look at who came, and at the feature's distribution"),
    Watch("context", DATA, "population stability index of what requests say",
          "look for a client that sends something else than before"),
    Watch("new_users", DATA, "share of users that the release does not know",
          "check that ids did not change their form; else bring the release up to date"),
    Watch("shown_features", DATA, "population stability index of a feature of the items shown",
          "look at what is shown: items that were added or taken down, filters, the model's inputs"),
    Watch("shown_items", DATA, "population stability index of which items are shown",
          "look at what is shown most; bring the release up to date"),
    Watch("shown_rise", DATA, "largest rise of one item's share of what is shown",
          "look at the item, at its attributes and at who acts on it"),
    Watch("acted_items", DATA, "population stability index of which items users act on",
          "look at what became popular, and at bots; bring the release up to date"),
    Watch("acted_rise", DATA, "largest rise of one item's share of what users act on",
          "look at the item, and at bots; bring the release up to date"),
    Watch("event_mix", DATA, "population stability index of the events",
          "look for an event that is logged twice or no more"),
    Watch("new_items", DATA, "share of what users act on that the release does not know",
          "bring the release up to date"),
    Watch("scores", PREDICTION, "population stability index of the scores shown",
          "look at the inputs above first; without a reason there, compare with the release before"),
    Watch("calibration", CALIBRATION, "relative difference of observed and expected engagement",
          "look for outcomes that are lost; else bring the release up to date"),
    Watch("calibration_shape", CALIBRATION, "relative difference between scores, positions taken out",
          "bring the release up to date"),
    Watch("degraded", SERVING, "share of slates that are not personalised", "see slate_falls_total"),
    Watch("empty", SERVING, "share of slates without an item", "look at filters and takedowns"),
    Watch("slow", SERVING, "share of slates above monitoring.slow_ms", "see slate_stage_seconds"),
)  # fmt: skip
_BY_NAME: Final = {watch.name: watch for watch in WATCHES}


@dataclass(frozen=True)
class Figure:
    """One measured value. ``value`` None: could not be judged, ``note`` says why; that passes.

    ``subject`` is the feature, the positions or the variant, or empty. ``samples`` names what moved most.
    """

    name: str
    subject: str
    value: float | None
    threshold: float
    severity: Severity = "warning"
    note: str = ""
    samples: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.value is None or self.value <= self.threshold

    @property
    def kind(self) -> Kind:
        return _BY_NAME[self.name].kind

    @property
    def what(self) -> str:
        return _BY_NAME[self.name].what

    @property
    def fix(self) -> str:
        return _BY_NAME[self.name].fix

    def __str__(self) -> str:
        subject = f" of {self.subject}" if self.subject else ""
        shown = "not judged" if self.value is None else f"{self.value:.3g}"
        return f"{self.name}{subject}: {shown} (limit {self.threshold:.3g}; {self.what}); {self.fix}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "name": self.name,
            "subject": self.subject,
            "kind": self.kind,
            "value": self.value,
            "threshold": self.threshold,
            "passed": self.passed,
            "severity": self.severity,
            "note": self.note,
            "samples": list(self.samples),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Figure":
        """What :meth:`to_dict` gave; a figure that this version does not know raises KeyError."""
        _BY_NAME[found["name"]]
        return cls(
            found["name"],
            found["subject"],
            found["value"],
            found["threshold"],
            found["severity"],
            found["note"],
            tuple(found["samples"]),
        )
