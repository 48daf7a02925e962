"""How events come in, and what becomes of them."""

from typing import Self

from pydantic import Field, model_validator

from slate.config.section import Section


class FeedbackConfig(Section):
    """The events endpoint, the queue behind it, and its consumer.

    ``state`` is the SQLite file of queue and online state, where ``SLATE_REDIS_URL`` names no Redis;
    ``durability`` what is certain when an event is acknowledged: ``power`` survives a power failure,
    ``process`` anything that ends only processes. A Redis that is not seen to keep so much is refused, unless
    ``redis_unchecked``. ``pending`` records wait at most, then producers are
    told to come later; ``partitions`` is how many consumers can share the work. An event may be
    ``max_age_s`` old and ``max_ahead_s`` ahead of the clock; an exposure counts for ``window_s``.
    A file has ``batch_rows`` records and is written after ``batch_s`` at the latest; histories never wait for
    it. Another consumer takes over after ``claim_s``. ``replayable`` records of a stream are kept when
    they are done with. ``history`` is how many recent events of a user are kept.
    """

    port: int = Field(default=8082, ge=1, le=65_535)
    state: str = ".slate/state.db"
    durability: str = Field(default="power", pattern="^(power|process)$")
    redis_unchecked: bool = False
    pending: int = Field(default=1_000_000, ge=1)
    partitions: int = Field(default=1, ge=1, le=256)
    max_body_bytes: int = Field(default=1_048_576, ge=1)
    max_events: int = Field(default=1000, ge=1)
    max_age_s: float = Field(default=604_800.0, gt=0)
    max_ahead_s: float = Field(default=60.0, ge=0)
    window_s: float = Field(default=86_400.0, gt=0)
    batch_rows: int = Field(default=5000, ge=1)
    batch_s: float = Field(default=10.0, gt=0)
    claim_s: float = Field(default=30.0, gt=0)
    replayable: int = Field(default=100_000, ge=0)
    history: int = Field(default=200, ge=1)
    user_events_per_hour: int = Field(default=2000, ge=1)
    key_events_per_s: int = Field(default=20_000, ge=1)
    jwks: str | None = None
    audience: str = "slate"
    issuer: str | None = None
    drain_s: float = Field(default=5.0, ge=0)
    grace_s: float = Field(default=20.0, gt=0)

    @model_validator(mode="after")
    def _ids_outlive_exposures(self) -> Self:
        if self.window_s > self.max_age_s:
            raise ValueError(
                f"window_s is {self.window_s:g}, above max_age_s, {self.max_age_s:g}: an exposure id "
                "would count for longer than it is remembered; lower one or raise the other"
            )
        return self
