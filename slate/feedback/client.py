"""Sends events and items to an endpoint; keeps trying while it is full or away."""

import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final

from slate.errors import ConfigError, DataError, StorageError

_TRIES: Final = 8
_LONGEST_WAIT: Final = 30.0
_TIMEOUT: Final = 30.0
_LATER: Final = (429, 503)


def post(url: str, parts: list[Any], key: str | None) -> dict[str, Any]:
    """What the endpoint says of these parts.

    Raises:
        ConfigError: the address is none, or the key may not.
        DataError: the endpoint cannot read the request.
        StorageError: it does not answer, or stays full.
    """
    return ask(url, json.dumps(parts).encode(), key)


def ask(url: str, body: bytes | None, key: str | None) -> dict[str, Any]:
    """POST a body, or GET without one. As :func:`post`."""
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url {url}: is no address; send to http://host:port")
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310 (checked above)
    problem = ""
    for attempt in range(_TRIES):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except urllib.error.HTTPError as error:
            with error:
                problem = _message(error.read())
            if error.code in (401, 403):
                raise ConfigError(f"{url}: {problem}") from error
            if error.code not in _LATER:
                raise DataError(f"{url}: {problem}") from error
            wait = float(error.headers.get("retry-after", 1))
        except (OSError, ValueError, HTTPException) as error:
            problem, wait = str(error), min(0.2 * 2**attempt, _LONGEST_WAIT)
        if attempt + 1 < _TRIES:
            time.sleep(min(wait, _LONGEST_WAIT))
    raise StorageError(f"{url}: {problem}; is `slate events` running there?")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")
