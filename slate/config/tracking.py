"""Where runs are recorded."""

from slate.config.section import Section


class TrackingConfig(Section):
    """Where runs are recorded with MLflow; never a condition for a run to succeed.

    ``uri`` is a tracking server or database; without it ``MLFLOW_TRACKING_URI``, and without that
    ``mlflow.db`` in the work folder. ``experiment`` and ``model`` (the registered model) are the data
    set's name unless given. ``timeout_seconds`` bounds every call to a server.
    """

    enabled: bool = True
    uri: str | None = None
    experiment: str | None = None
    model: str | None = None
    timeout_seconds: float = 5.0
