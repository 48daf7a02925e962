"""When a snapshot of the data has moved too far from the one before it."""

from pydantic import Field

from slate.config.dataset import CheckSeverity
from slate.config.section import Section


class DriftConfig(Section):
    """How far a snapshot of the data may move from the last release's.

    ``releases`` is how many earlier releases the report looks back to. ``severities`` changes single
    checks by name, as ``dataset.validation`` does: an ``error`` stops the pipeline, a ``warning`` is
    reported, ``off`` is not looked at. The other values are thresholds.
    """

    releases: int = Field(default=5, ge=1)
    severities: dict[str, CheckSeverity] = Field(default_factory=dict)
