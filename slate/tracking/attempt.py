"""Talk to the tracking server if that works, and go on if it does not."""

import logging
import os
import re
import threading
from collections.abc import Callable
from typing import Any, Final

from slate.config import TrackingConfig
from slate.errors import SlateError
from slate.tracking.settings import address, database

#: The whole of one step's tracking, as a multiple of the limit of one call.
_CALLS: Final = 10
_REASON_LENGTH: Final = 200
_SECRET: Final = re.compile(r"(?<=://)[^/@\s]+@")
_TALKATIVE: Final = ("alembic", "mlflow", "urllib3.connectionpool")


class TrackingError(SlateError):
    """The tracking server or database cannot be used."""

    exit_code = 9


def attempt(config: TrackingConfig, job: Callable[[Any], object]) -> str:
    """Run ``job`` with an ``MlflowClient``; whatever it raises, and however long it hangs.

    The job runs in a thread of its own, which is left behind when its time is up: a server that sends
    one byte a second trips no timeout of a socket. The time counts from when MLflow is imported, which
    takes seconds on a cold disk and is not the server's fault.

    Returns:
        one line that names the address and the reason, empty where it worked or tracking is off.
    """
    uri = address(config)
    if uri is None:
        return ""
    problems: list[BaseException] = []

    def work() -> None:
        try:
            job(client(uri, config.timeout_seconds))
        except BaseException as error:  # whatever it is, the run goes on
            problems.append(error)

    try:
        _client_class(config.timeout_seconds)
    except Exception as error:
        return _not_recorded(uri, reason(error))
    thread = threading.Thread(target=work, name="tracking", daemon=True)
    thread.start()
    thread.join(config.timeout_seconds * _CALLS)
    if thread.is_alive():
        return _not_recorded(uri, f"no end after {config.timeout_seconds * _CALLS:g} s")
    return _not_recorded(uri, reason(problems[0])) if problems else ""


def _not_recorded(uri: str, why: str) -> str:
    return f"tracking: {shown(uri)}: {why}; not recorded there"


def client(uri: str, timeout_seconds: float) -> Any:
    """An ``MlflowClient`` that says little, asks no third party and gives up soon.

    Raises:
        TrackingError: MLflow is not installed.
    """
    made_by = _client_class(timeout_seconds)
    file = database(uri)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    return made_by(uri)


def _client_class(timeout_seconds: float) -> Any:
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout_seconds))))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError as error:
        raise TrackingError(f"{error.name} is not installed; pip install 'slate[tracking]'") from error
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient


def reason(error: BaseException) -> str:
    """One line: our own message, else that at the bottom of the chain, which says what happened."""
    if isinstance(error, SlateError):
        return shown(str(error))
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        at = at.__cause__ or at.__context__
    text = next((str(e).strip() for e in reversed(seen) if str(e).strip()), type(error).__name__)
    return shown(text.splitlines()[0][:_REASON_LENGTH])


def shown(text: str) -> str:
    """Text without the user and password of any address in it."""
    return _SECRET.sub("", text)
