"""How a release is stored, answers and rolls out."""

from pydantic import Field

from slate.config.section import Section


class RecommendConfig(Section):
    """The slate: its length, how many candidates are ranked, and how it is ordered."""

    k: int = Field(default=10, ge=1)
    candidates: int = Field(default=200, ge=1)
    diversity: float = Field(default=0.0, ge=0, le=1)
    golden: int = Field(default=8, ge=1)


class RolloutConfig(Section):
    """The ramp a rollout climbs, in percent of users."""

    steps: tuple[float, ...] = (1, 5, 25, 50)


class StoreConfig(Section):
    """Where releases live: a directory or ``gs://bucket/prefix``."""

    uri: str = ".slate"
