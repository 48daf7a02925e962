"""Exposure ids that only a server with the key can make: who was shown what by which release, and when.

``v1.<key id>.<payload>.<signature>``: the payload is JSON in base64url without padding, the signature
HMAC-SHA256 (RFC 2104) over everything before it.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from slate.clock import Clock, SystemClock
from slate.errors import ConfigError, DataError

VARIABLE: Final = "SLATE_SIGNING_KEYS"
_VERSION: Final = "v1"
_LONGEST: Final = 2048
_SHORTEST_KEY: Final = 16
_SKEW_SECONDS: Final = 60.0
_NONCE_BYTES: Final = 9
#: Nonces drawn at once: each look at the system's randomness gives the interpreter away, and whoever answers
#: waits until a busy thread gives it back.
_DRAWN: Final = 256
_nonces: list[str] = []
# Two processes never draw the same.
os.register_at_fork(after_in_child=_nonces.clear)


@dataclass(frozen=True)
class Shown:
    """What an exposure id says. ``at`` is in seconds since 1970, ``user`` a hash of the user id."""

    at: float
    user: str
    release: str
    variant: str
    nonce: str
    rollout: str | None = None
    step: str | None = None


class Signer:
    """Makes and checks exposure ids.

    Args:
        keys: key id to secret, the first one signs; the others are still accepted, so that keys can change.

    Raises:
        ConfigError: no key, a key id with a dot, or a secret of less than 16 bytes.
    """

    def __init__(self, keys: Mapping[str, bytes], clock: Clock | None = None) -> None:
        if not keys:
            raise ConfigError(
                f"{VARIABLE}: is empty; set it to <key id>:<base64 of {_SHORTEST_KEY} or more random bytes>, "
                "several by commas"
            )
        for name, secret in keys.items():
            if not name or "." in name or len(secret) < _SHORTEST_KEY:
                raise ConfigError(
                    f"{VARIABLE}: key {name!r} is not usable; an id has no dot and a secret at least "
                    f"{_SHORTEST_KEY} bytes"
                )
        self._keys = dict(keys)
        self._current = next(iter(keys))
        self._clock = clock or SystemClock()

    @classmethod
    def from_environment(cls, clock: Clock | None = None) -> "Signer":
        """The keys of ``SLATE_SIGNING_KEYS``: ``id:base64`` by commas, the signing one first.

        Raises:
            ConfigError: see the class; or a secret is no base64.
        """
        keys: dict[str, bytes] = {}
        for entry in filter(None, os.environ.get(VARIABLE, "").split(",")):
            name, _, secret = entry.strip().partition(":")
            try:
                keys[name] = base64.b64decode(secret, validate=True)
            except binascii.Error as error:
                raise ConfigError(f"{VARIABLE}: the secret of key {name!r} is no base64") from error
        return cls(keys, clock)

    def sign(
        self,
        user_id: str,
        release: str,
        variant: str,
        rollout: str | None = None,
        step: str | None = None,
    ) -> str:
        """A new exposure id, of this instant."""
        # Of what :class:`Shown` holds; every answer waits for it.
        shown = {
            "at": round(self._clock.now().timestamp(), 3),
            "user": user_hash(user_id),
            "release": release,
            "variant": variant,
            "nonce": _nonce(),
        }
        if rollout is not None:
            shown["rollout"] = rollout
        if step is not None:
            shown["step"] = step
        signed = f"{_VERSION}.{self._current}.{_encoded(orjson.dumps(shown))}"
        return f"{signed}.{self._signature(self._current, signed)}"

    def check(self, exposure_id: str, user_id: str, max_age_seconds: float) -> Shown:
        """What the id says, if one of our servers gave it to this user not too long ago.

        Raises:
            DataError: it is malformed, forged, of another user, from the future, or too old.
        """
        parts = exposure_id.split(".")
        if len(exposure_id) > _LONGEST or len(parts) != 4 or parts[0] != _VERSION:
            raise DataError("exposure_id: is no exposure id; send the one of the slate back unchanged")
        secret_known = parts[1] in self._keys
        signature = self._signature(parts[1] if secret_known else self._current, ".".join(parts[:3]))
        if not (hmac.compare_digest(signature.encode(), parts[3].encode()) and secret_known):
            raise DataError("exposure_id: is not signed by this service; send that of the slate unchanged")
        try:
            shown = Shown(**_decoded(parts[2]))
        except (ValueError, TypeError) as error:
            raise DataError("exposure_id: cannot be read; send that of the slate unchanged") from error
        if not hmac.compare_digest(shown.user, user_hash(user_id)):
            raise DataError("exposure_id: belongs to another user; send the id of this user's slate")
        age = self._clock.now().timestamp() - shown.at
        if age < -_SKEW_SECONDS:
            raise DataError("exposure_id: is of the future; check the clocks of the servers")
        if age > max_age_seconds:
            raise DataError(f"exposure_id: is {age:.0f} s old, at most {max_age_seconds:.0f} s count")
        return shown

    def _signature(self, key: str, text: str) -> str:
        return _encoded(hmac.digest(self._keys[key], text.encode(), "sha256"))


def _nonce() -> str:
    try:
        return _nonces.pop()
    except IndexError:
        drawn = os.urandom(_NONCE_BYTES * _DRAWN)
        parts = range(0, len(drawn), _NONCE_BYTES)
        first, *others = [drawn[part : part + _NONCE_BYTES].hex() for part in parts]
        _nonces.extend(others)
        return first


def user_hash(user_id: str) -> str:
    """What an exposure id says of its user: no id leaves the server in it.

    >>> user_hash("u1") == user_hash("u1"), len(user_hash("u1"))
    (True, 16)
    """
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> Any:
    return orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
