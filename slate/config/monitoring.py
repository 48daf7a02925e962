"""When live traffic has moved too far from what its release was made for."""

from pydantic import Field

from slate.config.dataset import CheckSeverity
from slate.config.section import Section


class MonitoringConfig(Section):
    """How far a day of live traffic may move from the release that served it.

    Figures are judged from ``min_users`` users on. ``severities`` changes single figures by name, as in the
    section ``drift``: drift makes an incremental run due, and what is an ``error`` ends
    ``slate monitor`` with status 4. The rest are the largest values that pass: population stability
    indices of ``shown_features``, ``user_features``, ``context``, ``shown_items``, ``acted_items``,
    ``event_mix`` and ``scores``; rises of one item's share, ``shown_rise`` and ``acted_rise``; shares of
    ``new_users`` (of those who were shown slates), ``new_items`` (of what users acted on), ``degraded``
    slates (not personalised), ``empty`` slates and ``slow`` ones (above ``slow_ms``); ``calibration`` is the
    relative difference of observed and expected engagement, ``calibration_shape`` what is left of it between
    scores when that of each position is taken out. Limits give way to what chance makes in 1 of 1,000 cases.
    """

    min_users: int = Field(default=100, ge=10)
    severities: dict[str, CheckSeverity] = Field(default_factory=dict)
    shown_features: float = Field(default=0.25, ge=0)
    user_features: float = Field(default=0.25, ge=0)
    context: float = Field(default=0.25, ge=0)
    shown_items: float = Field(default=0.5, ge=0)
    shown_rise: float = Field(default=0.05, ge=0, le=1)
    acted_items: float = Field(default=1.0, ge=0)
    acted_rise: float = Field(default=0.1, ge=0, le=1)
    event_mix: float = Field(default=0.1, ge=0)
    new_users: float = Field(default=0.5, ge=0, le=1)
    new_items: float = Field(default=0.1, ge=0, le=1)
    scores: float = Field(default=0.25, ge=0)
    calibration: float = Field(default=0.5, ge=0)
    calibration_shape: float = Field(default=0.25, ge=0)
    degraded: float = Field(default=0.05, ge=0, le=1)
    empty: float = Field(default=0.001, ge=0, le=1)
    slow: float = Field(default=0.01, ge=0, le=1)
    slow_ms: float = Field(default=150.0, gt=0)
