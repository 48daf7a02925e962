"""What ``slate tune`` searches."""

from typing import Literal

from pydantic import Field

from slate.config.section import Section


class TuningConfig(Section):
    """What ``slate tune`` searches, and how. All of it is judged on validation data."""

    sampler: Literal["tpe", "random", "grid"] = "tpe"
    trials: int = Field(default=20, ge=1)
    seed: int = 1
