"""The folder that a gateway and whoever tells it share.

``routes.json`` is what it goes by, ``envoy.json`` what it was started with, ``gateway.json`` where everything
listens.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from slate.errors import GatewayError

ROUTES: Final = "routes.json"
BOOTSTRAP: Final = "envoy.json"
PLACES: Final = "gateway.json"


@dataclass(frozen=True)
class Places:
    """The ports of the loopback where the gateway, its administration and each variant's server listen.

    ``servers`` has the events endpoint too, as ``events``.
    """

    gateway: int
    admin: int
    servers: Mapping[str, int]


def replace(path: Path, text: str) -> None:
    """Write a file so that everybody sees the old one or the new one, whole; also when the power fails.

    Raises:
        GatewayError: it cannot be written.
    """
    # Not beside it: whoever watches the folder would look at the unfinished one, too.
    beside = path.parent / ".new"
    temporary = beside / uuid.uuid4().hex
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise GatewayError(f"{path}: cannot be written ({error}); make room, or correct its owner") from error


def write_places(folder: Path, places: Places) -> None:
    """Say where everything listens.

    Raises:
        GatewayError: see :func:`replace`.
    """
    replace(folder / PLACES, json.dumps(asdict(places), indent=1) + "\n")


def read_places(folder: Path) -> Places:
    """Where everything listens.

    Raises:
        GatewayError: nobody said so.
    """
    path = folder / PLACES
    try:
        return Places(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise GatewayError(
            f"{folder}: there is no gateway; start it with 'slate up', or name its folder with "
            "--set rollout.gateway.folder=<folder>"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise GatewayError(f"{path}: cannot be read ({error}); start 'slate up' anew") from error
