"""The secrets of a stack: those of the environment, else some that are made once and kept."""

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from slate.errors import ConfigError
from slate.feedback.endpoint import keys as api_keys
from slate.feedback.signing import VARIABLE as SIGNING

_FILE: Final = "keys.json"
_NAME: Final = "up"
_SCOPES: Final = "+".join(sorted(api_keys.SCOPES))
_HASHED: Final = "sha256="


@dataclass(frozen=True)
class Keys:
    """As the environment holds them, and a key for clients in clear; empty where only its hash is known."""

    signing: str
    api: str
    api_key: str

    @property
    def environment(self) -> dict[str, str]:
        """For the processes of the stack."""
        return {SIGNING: self.signing, api_keys.VARIABLE: self.api}


def stack_keys(folder: Path) -> Keys:
    """The keys of ``SLATE_SIGNING_KEYS`` and ``SLATE_API_KEYS``; what is unset, from a file only we can read.

    Raises:
        ConfigError: that file cannot be read or written.
    """
    signing, api = os.environ.get(SIGNING), os.environ.get(api_keys.VARIABLE)
    if not (signing and api):
        kept = _kept(folder / _FILE)
        signing = signing or f"{_NAME}:{kept['signing']}"
        api = api or f"{_NAME}:{kept['api']}:{_SCOPES}"
    return Keys(signing, api, _in_clear(api))


def _in_clear(api: str) -> str:
    for entry in api.split(","):
        parts = entry.strip().split(":")
        if len(parts) == 3 and not parts[1].startswith(_HASHED):
            return parts[1]
    return ""


def _kept(path: Path) -> dict[str, str]:
    try:
        return _read(path) or _made(path)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: the stack's keys cannot be kept there ({error}); remove it") from error


def _read(path: Path) -> dict[str, str] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return {name: str(found[name]) for name in ("signing", "api")}


def _made(path: Path) -> dict[str, str]:
    made = {
        "signing": base64.b64encode(secrets.token_bytes(32)).decode(),
        "api": secrets.token_urlsafe(24),
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(made, file)
    return made
