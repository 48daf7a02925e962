"""How a release is stored and rolls out."""

from slate.config.section import Section


class RolloutConfig(Section):
    """The ramp a rollout climbs, in percent of users."""

    steps: tuple[float, ...] = (1, 5, 25, 50)


class StoreConfig(Section):
    """Where releases live: a directory or ``gs://bucket/prefix``."""

    uri: str = ".slate"
