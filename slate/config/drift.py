"""When a snapshot of the data has moved too far from the one before it."""

from pydantic import Field

from slate.config.dataset import CheckSeverity
from slate.config.section import Section


class DriftConfig(Section):
    """How far a snapshot of the data may move from the last release's.

    ``releases`` is how many earlier releases the report looks back to. ``severities`` changes single
    checks by name, as ``dataset.validation`` does: an ``error`` stops the pipeline, a ``warning`` is
    reported, ``off`` is not looked at. The rest are the largest values that pass: ``shrink`` the share of a
    table's rows that went; ``new_items`` and ``new_users`` shares of this snapshot, ``vanished_items`` and
    ``vanished_users`` of the one before; ``popularity`` and ``event_mix`` Jensen-Shannon divergences in
    bits; ``top_items`` the share of the 100 most popular items that are no longer among them; ``feature`` a
    population stability index; ``missing`` a rise in the share of missing values; ``rows_per_day`` and
    ``engagement`` relative changes of interactions a day and of engagement per active user, both over the
    last 28 days. Where there are so few rows that chance alone would pass the limit of a distribution
    or of engagement, the limit is what chance makes of them in 1 of 1,000 cases.
    """

    releases: int = Field(default=5, ge=1)
    severities: dict[str, CheckSeverity] = Field(default_factory=dict)
    shrink: float = Field(default=0.4, ge=0, le=1)
    new_items: float = Field(default=0.5, ge=0, le=1)
    vanished_items: float = Field(default=0.2, ge=0, le=1)
    new_users: float = Field(default=0.7, ge=0, le=1)
    vanished_users: float = Field(default=0.5, ge=0, le=1)
    popularity: float = Field(default=0.2, ge=0, le=1)
    top_items: float = Field(default=0.5, ge=0, le=1)
    event_mix: float = Field(default=0.02, ge=0, le=1)
    rows_per_day: float = Field(default=0.5, ge=0)
    feature: float = Field(default=0.25, ge=0)
    missing: float = Field(default=0.1, ge=0, le=1)
    engagement: float = Field(default=0.3, ge=0)
