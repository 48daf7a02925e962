"""Where runs are recorded."""

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from slate.config.section import Section


class TrackingConfig(Section):
    """Where runs are recorded with MLflow; never a condition for a run to succeed.

    ``uri`` is a tracking server or database; without it ``MLFLOW_TRACKING_URI``, and without that
    ``mlflow.db`` in the work folder. ``experiment`` and ``model`` (the registered model) are the data
    set's name unless given. ``timeout_seconds`` bounds every call to a server, ten of it what one step
    spends on tracking; after the first failure a step goes on without.
    """

    enabled: bool = True
    uri: str | None = None
    experiment: str | None = None
    model: str | None = None
    timeout_seconds: float = Field(default=5.0, gt=0)

    @field_validator("uri")
    @classmethod
    def _without_secrets(cls, uri: str | None) -> str | None:
        if uri and urlsplit(uri).password:
            raise ValueError(
                "holds a password, and this configuration is recorded; a server's goes into "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, a database's address into "
                "MLFLOW_TRACKING_URI"
            )
        return uri
