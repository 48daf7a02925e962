"""What the protocols share: the engine, its two models, and whether the server goes down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from serving.service import Service, services
from serving.tracing import Spans
from slate.config import ServingConfig
from slate.recommend.engine import Engine

#: Told of every answer: the model and the HTTP status (for gRPC, the one it corresponds to).
Answered = Callable[[str, int], None]


@dataclass
class State:
    """The engine behind a server, and the server's own course."""

    engine: Engine
    config: ServingConfig
    answered: Answered = lambda *_: None
    spans: Spans | None = None
    draining: bool = False
    services: Mapping[str, Service] = field(init=False)

    def __post_init__(self) -> None:
        self.services = services(self.engine, self.config)

    @property
    def ready(self) -> bool:
        """Whether new requests should come here."""
        return self.engine.ready and not self.draining
