"""JSON Web Tokens (RFC 7519), checked against the keys of a JWKS file (RFC 7517)."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt

from slate.errors import ConfigError

_log = logging.getLogger(__name__)

_LEEWAY_SECONDS: Final = 30
_LOOK_SECONDS: Final = 5.0
_SHORTEST_SECRET: Final = 32
#: The algorithm follows from the kind of key, never from what a token says of itself.
_ALGORITHMS: Final = {"RSA": "RS256", "oct": "HS256"}


@dataclass(frozen=True)
class Claims:
    """What a valid token says: who sends, what for, and the only user it speaks for, if it names one."""

    subject: str
    scopes: frozenset[str]
    user_id: str | None


class Tokens:
    """Checks tokens. The file is read again when it changes, so that keys can change.

    Args:
        path: a JWKS with RSA keys (RS256) or secrets (``oct``, HS256, 32 bytes or more).
        audience: what ``aud`` must hold.
        issuer: what ``iss`` must be, if given.

    Raises:
        ConfigError: the file cannot be read, or holds a key of another kind.
    """

    def __init__(self, path: Path, audience: str, issuer: str | None = None) -> None:
        self._path = path
        self._audience = audience
        self._issuer = issuer
        self._looked = time.monotonic()
        self._changed = self._stamp()
        self._keys = _keys(path)

    def check(self, token: str) -> Claims | None:
        """The claims of a token that one of the keys signed for us and that has not expired."""
        self._refresh()
        try:
            wanted = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            return None
        for name, (key, algorithm) in self._keys.items():
            if wanted is not None and wanted != name:
                continue
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    audience=self._audience,
                    issuer=self._issuer,
                    leeway=_LEEWAY_SECONDS,
                    options={"require": ["exp", "aud", "sub"]},
                )
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
            return _claims(claims)
        return None

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            changed = self._stamp()
            if changed != self._changed:
                self._keys, self._changed = _keys(self._path), changed
        except ConfigError as error:
            _log.warning("the keys stay as they are: %s", error)

    def _stamp(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError as error:
            raise ConfigError(f"feedback.jwks: {self._path} cannot be read ({error.strerror})") from error


def _claims(claims: Mapping[str, Any]) -> Claims | None:
    scope, user = claims.get("scope"), claims.get("user_id")
    if not isinstance(scope, str) or not (user is None or isinstance(user, str)):
        return None
    return Claims(str(claims["sub"])[:256], frozenset(scope.split()), user)


def _keys(path: Path) -> dict[str, tuple[Any, str]]:
    """Key id to key and algorithm; a key without an id goes by its place."""
    try:
        described = json.loads(path.read_text(encoding="utf-8"))["keys"]
        found = {
            str(each.get("kid", place)): (_usable(each), _ALGORITHMS[each["kty"]])
            for place, each in enumerate(described)
        }
    except OSError as error:
        raise ConfigError(f"feedback.jwks: {path} cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, AttributeError, ValueError, jwt.PyJWTError):
        # The cause would show the key.
        raise ConfigError(
            f"feedback.jwks: {path} is no JWKS of RSA keys or secrets of {_SHORTEST_SECRET} bytes; "
            "see RFC 7517"
        ) from None
    if not found:
        raise ConfigError(f"feedback.jwks: {path} holds no key; add one, or name no file")
    return found


def _usable(described: Mapping[str, Any]) -> Any:
    key = jwt.PyJWK.from_dict(dict(described), algorithm=_ALGORITHMS[described["kty"]]).key
    if isinstance(key, bytes) and len(key) < _SHORTEST_SECRET:
        raise ValueError("too short")
    return key
