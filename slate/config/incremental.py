"""How a release is brought up to date, and when."""

from pydantic import Field

from slate.config.section import Section


class TriggersConfig(Section):
    """When an incremental run is due; any one of these suffices.

    ``every_h``: so many hours have passed since the live release was made. ``interactions``: so many are
    later than its data. ``drift``: the popularity of items or the mix of events among these has moved beyond
    the limits of the section ``drift``, judged from ``drift_interactions`` on. ``monitored_h``: ``slate
    monitor`` found drift in the live release's traffic of a day that ended so many hours ago at most. Null
    switches one off.
    """

    every_h: float | None = Field(default=24.0, gt=0)
    interactions: int | None = Field(default=10_000, ge=1)
    drift_interactions: int | None = Field(default=1000, ge=1)
    monitored_h: float | None = Field(default=48.0, gt=0)


class IncrementalConfig(Section):
    """The incremental pipeline: what happened since the live release's training is learnt from its weights.

    ``valid_fraction`` and ``test_fraction`` are of the interactions later than its ``train_end``. The towers
    train ``epochs`` at ``learning_rate`` on the new interactions and on ``replay`` times as many old ones,
    drawn by user; the ranker trains ``ranking_epochs`` at ``ranking_learning_rate``.
    """

    valid_fraction: float = Field(default=0.25, gt=0, lt=0.5)
    test_fraction: float = Field(default=0.25, gt=0, lt=0.5)
    epochs: int = Field(default=2, ge=1)
    learning_rate: float = Field(default=0.001, gt=0)
    replay: float = Field(default=2.0, ge=0)
    ranking_epochs: int = Field(default=3, ge=1)
    ranking_learning_rate: float = Field(default=0.0003, gt=0)
    triggers: TriggersConfig = TriggersConfig()
