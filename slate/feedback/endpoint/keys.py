"""Who may send what: API keys of the environment, and tokens."""

import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from slate.errors import ConfigError
from slate.feedback.endpoint.refusal import RefusedError

if TYPE_CHECKING:
    from slate.feedback.endpoint.tokens import Tokens

VARIABLE: Final = "SLATE_API_KEYS"
OUTCOMES: Final = "outcomes"
ORGANIC: Final = "organic"
ITEMS: Final = "items"
READ: Final = "read"
SCOPES: Final = frozenset({OUTCOMES, ORGANIC, ITEMS, READ})

_SHORTEST: Final = 16
_LONGEST: Final = 8192
_HASHED: Final = "sha256="
_HELP: Final = f"{VARIABLE} is <name>:<secret or sha256=hex>:<scope+scope>, several by commas"
_BEARER: Final = re.compile(r"bearer +", re.IGNORECASE)


@dataclass(frozen=True)
class Principal:
    """Who sends: a name for rates and identities, what it may do, and the only user it may speak for."""

    name: str
    scopes: frozenset[str]
    user_id: str | None = None

    def needs(self, *scopes: str) -> None:
        """Refuse the request unless there is at least one of these.

        Raises:
            RefusedError: 403.
        """
        if self.scopes.isdisjoint(scopes):
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                f"key: {self.name!r} has no scope {' or '.join(scopes)}; use another key",
            )


@dataclass(frozen=True)
class ApiKey:
    """One key; of the secret only its SHA-256 is kept."""

    principal: Principal
    digest: bytes


class Gatekeeper:
    """Knows who is who.

    A name may have several keys, so that a new secret is added before the old one goes.

    Args:
        tokens: checks JSON Web Tokens; None knows only keys.
        open_to_all: everybody may do everything, under the name ``open``.

    Raises:
        ConfigError: there is no way in at all, and ``open_to_all`` does not say that this is meant.
    """

    def __init__(
        self, keys: Sequence[ApiKey], tokens: "Tokens | None" = None, *, open_to_all: bool = False
    ) -> None:
        if not (keys or tokens or open_to_all):
            raise ConfigError(
                f"{VARIABLE}: is empty and feedback.jwks names no file, so anybody could send events; "
                f"{_HELP}; or say --open where only friends can reach the port"
            )
        self._keys = tuple(keys)
        self._tokens = tokens
        self._open = Principal("open", SCOPES) if open_to_all else None

    def identify(self, headers: Mapping[bytes, bytes]) -> Principal:
        """Who sends a request with these headers: ``Authorization: Bearer`` or ``x-api-key``.

        Raises:
            RefusedError: 401; the message says nothing about what was sent.
        """
        if self._open is not None:
            return self._open
        secret = presented(headers)
        if secret is None:
            raise _unknown("is missing")
        found = self._by_key(secret)
        if found is None and self._tokens is not None and secret.count(".") == 2:
            claims = self._tokens.check(secret)
            if claims is not None:
                return Principal(f"jwt:{claims.subject}", claims.scopes & SCOPES, claims.user_id)
        if found is None:
            raise _unknown("is not known, or no longer")
        return found

    def _by_key(self, secret: str) -> Principal | None:
        digest = hashlib.sha256(secret.encode()).digest()
        found = None
        for key in self._keys:  # All of them: the time tells nothing about which one came close.
            if hmac.compare_digest(key.digest, digest):
                found = key.principal
        return found


def keys_from_environment() -> list[ApiKey]:
    """The keys of ``SLATE_API_KEYS``; no message repeats a secret.

    Raises:
        ConfigError: an entry is not of the form, a secret is shorter than 16 characters, or a scope unknown.
    """
    entries = filter(None, (entry.strip() for entry in os.environ.get(VARIABLE, "").split(",")))
    return [_key(place, entry) for place, entry in enumerate(entries, start=1)]


def presented(headers: Mapping[bytes, bytes]) -> str | None:
    """The secret that a request shows, whatever it is."""
    raw = headers.get(b"x-api-key")
    if raw is None:
        text = headers.get(b"authorization", b"").decode("latin-1")
        scheme = _BEARER.match(text)
        return text[scheme.end() :].strip()[:_LONGEST] if scheme else None
    return raw.decode("latin-1").strip()[:_LONGEST]


def _key(place: int, entry: str) -> ApiKey:
    where = f"{VARIABLE}: entry {place}"
    parts = entry.split(":")
    if len(parts) != 3 or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", parts[0]):
        raise ConfigError(f"{where} cannot be read; {_HELP}")
    name, secret, scopes = parts[0], parts[1], frozenset(parts[2].split("+"))
    if not scopes <= SCOPES:
        raise ConfigError(f"{where} ({name}): a scope is unknown; there are {', '.join(sorted(SCOPES))}")
    if secret.startswith(_HASHED):
        try:
            digest = bytes.fromhex(secret.removeprefix(_HASHED))
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise ConfigError(f"{where} ({name}): is no SHA-256 in hexadecimal; {_HELP}")
    else:
        if len(secret) < _SHORTEST:
            raise ConfigError(f"{where} ({name}): the secret is shorter than {_SHORTEST} characters")
        digest = hashlib.sha256(secret.encode()).digest()
    return ApiKey(Principal(name, scopes), digest)


def _unknown(problem: str) -> RefusedError:
    return RefusedError(
        HTTPStatus.UNAUTHORIZED, f"key: {problem}; send Authorization: Bearer <key>, or x-api-key: <key>"
    )
