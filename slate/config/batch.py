"""How slates are computed ahead, for whom, and how long they hold."""

from pydantic import Field

from slate.config.section import Section


class BatchConfig(Section):
    """The batch pipeline: slates of active users, computed ahead into the online state.

    A user is active who did something within ``active_days`` before the release's data end, or of whom the
    event log holds something as recent. A slate has ``items`` items, more than is asked for, since some of
    them may be taken down or seen before it is read, and holds for ``expires_h`` hours. ``size`` users go
    through the models at once, ``workers`` processes share the work (null: one a processor core), and on a
    cluster ``partitions`` pods do. A run that was stopped is gone on with within ``resume_h`` hours; later it
    begins anew.
    """

    active_days: float = Field(default=30.0, gt=0)
    items: int = Field(default=100, ge=1)
    expires_h: float = Field(default=48.0, gt=0)
    size: int = Field(default=256, ge=1)
    workers: int | None = Field(default=None, ge=1)
    partitions: int = Field(default=1, ge=1, le=1000)
    resume_h: float = Field(default=6.0, ge=0)
