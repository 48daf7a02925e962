"""Which tracking server or database a run is recorded in."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from slate.config import TrackingConfig

VARIABLE: Final = "MLFLOW_TRACKING_URI"
_DATABASE: Final = "mlflow.db"
_ARTEFACTS: Final = "mlartifacts"
_SQLITE: Final = "sqlite:///"


def resolved(config: TrackingConfig, dataset: str, workdir: Path | None) -> TrackingConfig:
    """The section with its defaults filled in, ready to travel to the steps.

    An address in the environment that holds a password stays there: steps read it again.

    Args:
        dataset: the data set's name, that of the experiment and of the registered model by default.
        workdir: where a database may be made; None where no step could reach it, as on a cluster:
            without an address tracking is off there.
    """
    uri = config.uri
    if uri is None:
        given = os.environ.get(VARIABLE)
        if given and not urlsplit(given).password:
            uri = given
        elif not given and workdir is not None:
            uri = f"{_SQLITE}{workdir.resolve() / _DATABASE}"
    return config.model_copy(
        update={"uri": uri, "experiment": config.experiment or dataset, "model": config.model or dataset}
    )


def address(config: TrackingConfig) -> str | None:
    """Where to record, None where nothing is recorded."""
    if not config.enabled:
        return None
    return config.uri or os.environ.get(VARIABLE) or None


def database(uri: str) -> Path | None:
    """The file of an SQLite address, None for any other."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def artefact_location(uri: str) -> str | None:
    """Where the artefacts of a new experiment go; None lets the server choose.

    MLflow's own choice for a database is a folder in whatever directory the process works.
    """
    file = database(uri)
    return None if file is None else str(file.parent.resolve() / _ARTEFACTS)
