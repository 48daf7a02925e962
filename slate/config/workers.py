"""How one training is shared by several machines."""

from typing import Annotated

from pydantic import Field

from slate.config.section import Section

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$")]


class WorkersConfig(Section):
    """The pipeline ``distributed``: ``count`` pods train the towers together.

    Each has ``cpu`` cores, ``memory`` and ``disk`` as Kubernetes writes them, and ``gpus``, on nodes of the
    pool ``pool`` (``terraform/modules/gke``). A batch is of all of them together, so ``retrieval.batch_size``
    must be at least as many as there are. A job is ended after ``deadline_h`` hours; each worker is started
    again up to ``attempts`` times.
    """

    count: int = Field(default=2, ge=2, le=64)
    cpu: float = Field(default=6, gt=0)
    memory: Quantity = "24Gi"
    disk: Quantity = "20Gi"
    gpus: int = Field(default=0, ge=0, le=16)
    pool: str = Field(default="training", pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    deadline_h: float = Field(default=12.0, gt=0)
    attempts: int = Field(default=5, ge=0)
