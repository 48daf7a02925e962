"""How long an answer may take, and how much is answered at once."""

from pydantic import Field

from slate.config.section import Section


class OnlineConfig(Section):
    """Deadlines in milliseconds, and limits of what is worked on at once.

    ``deadline_ms`` is a request's own unless it names one; ``reserve_ms`` of it are kept for an answer of a
    lower rung. Each stage ends after its own limit: ``retrieve_ms``, ``filter_ms``, ``score_ms`` and
    ``order_ms``; several sources are waited for no longer than ``source_ms`` of the first. ``slots`` is how
    many calls may be in a stage, or in a source, at once, those left behind included; ``lanes`` how many
    batches are under way (0: one for each core that the process may use), each of up to ``batch`` requests
    that waited together. More than ``pending``
    requests are never held, and fewer where they could not be answered in time.

    The online state is waited for no longer than ``live_ms``; its items are looked at every ``items_s``, and
    up to ``new_items`` that a release does not know are shown beside its own. A request whose context holds,
    under a name of ``precomputed_first``, one of that name's values is of low value: a slate that was made
    ahead answers it, where there is one, and no model is asked.
    """

    deadline_ms: float = Field(default=200.0, gt=0)
    reserve_ms: float = Field(default=5.0, ge=0)
    retrieve_ms: float = Field(default=100.0, gt=0)
    source_ms: float = Field(default=60.0, gt=0)
    filter_ms: float = Field(default=30.0, gt=0)
    score_ms: float = Field(default=100.0, gt=0)
    order_ms: float = Field(default=30.0, gt=0)
    slots: int = Field(default=4, ge=1)
    lanes: int = Field(default=0, ge=0)
    batch: int = Field(default=64, ge=1)
    pending: int = Field(default=256, ge=1)
    live_ms: float = Field(default=20.0, gt=0)
    items_s: float = Field(default=0.25, gt=0)
    new_items: int = Field(default=1000, ge=0)
    precomputed_first: dict[str, tuple[str, ...]] = Field(default_factory=dict)
