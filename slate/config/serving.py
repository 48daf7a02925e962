"""How the model server listens and answers."""

from pydantic import Field

from slate.config.online import OnlineConfig


class ServingConfig(OnlineConfig):
    """The model server: ports, the largest request, and how long it drains.

    ``state`` is the SQLite file of what was shown; ``poll_s`` how often a followed channel is looked at.
    ``drain_s`` is how long a terminated server still answers while the balancers learn of it;
    ``grace_s`` how long work in flight may then take. ``log_file`` takes the log instead of stderr; it and
    the older ones, ``log_files`` in all, hold ``log_bytes`` each.
    """

    http_port: int = Field(default=8080, ge=1, le=65_535)
    grpc_port: int = Field(default=8081, ge=1, le=65_535)
    max_body_bytes: int = Field(default=4_194_304, ge=1)
    max_instances: int = Field(default=64, ge=1)
    max_k: int = Field(default=1000, ge=1)
    max_items: int = Field(default=2000, ge=1)
    max_history: int = Field(default=1000, ge=1)
    state: str = ".slate/state.db"
    poll_s: float = Field(default=1.0, gt=0)
    drain_s: float = Field(default=5.0, ge=0)
    grace_s: float = Field(default=20.0, gt=0)
    log_file: str = ""
    log_bytes: int = Field(default=10_485_760, ge=65_536)
    log_files: int = Field(default=5, ge=2)
