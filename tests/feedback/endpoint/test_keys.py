"""Who may come in is said at the start, and no secret is ever repeated."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from slate.errors import ConfigError
from slate.feedback.endpoint import tokens
from slate.feedback.endpoint.keys import VARIABLE, Gatekeeper, keys_from_environment
from slate.feedback.endpoint.refusal import RefusedError
from slate.feedback.endpoint.tokens import Tokens

SECRET = "a-secret-of-the-shop"
CLAIMS = {"sub": "app", "aud": "slate", "exp": 4_000_000_000, "scope": "outcomes"}


def secret_key(secret: bytes, name: str) -> dict[str, str]:
    return {"kty": "oct", "kid": name, "k": base64.urlsafe_b64encode(secret).decode().rstrip("=")}


@pytest.mark.parametrize("entry", [
    "shop", "shop:short:items", f"shop:{SECRET}", f"shop:{SECRET}:everything",
    f"shop:{SECRET}:", f":{SECRET}:items",
    f"a shop:{SECRET}:items", "shop:sha256=abc:items", "shop:sha256=xyz:items",
    f"good:{SECRET}:items,bad:{SECRET}x",
])  # fmt: skip
def test_keys_that_cannot_be_used(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, entry)
    with pytest.raises(ConfigError, match=VARIABLE) as caught:
        keys_from_environment()
    assert SECRET not in str(caught.value)
    assert "short" not in str(caught.value).split(";")[0].replace("shorter", "")


def test_an_endpoint_does_not_open_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="--open"):
        Gatekeeper(keys_from_environment())
    assert Gatekeeper([], open_to_all=True).identify({}).name == "open"


def test_a_new_secret_works_beside_the_old_one_under_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(b"the-newer-secret").hexdigest()
    monkeypatch.setenv(VARIABLE, f"shop:{SECRET}:items, shop:sha256={digest}:items+read")
    gatekeeper = Gatekeeper(keys_from_environment())
    old = gatekeeper.identify({b"x-api-key": SECRET.encode()})
    new = gatekeeper.identify({b"authorization": b"bearer  the-newer-secret"})
    assert (old.name, new.name, new.scopes - old.scopes) == ("shop", "shop", {"read"})
    for wrong in (digest.encode(), b"sha256=" + digest.encode(), b"", b"Basic " + SECRET.encode()):
        with pytest.raises(RefusedError, match="key: is"):
            gatekeeper.identify({b"x-api-key": wrong})
        with pytest.raises(RefusedError):
            gatekeeper.identify({b"authorization": wrong})


def test_tokens_of_rsa_keys_and_no_confusion_of_algorithms(tmp_path: Path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    public: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{**public, "kid": "rsa"}, secret_key(b"s" * 32, "oct")]}))
    known = Tokens(path, "slate", "us")
    claims = {**CLAIMS, "iss": "us"}
    found = known.check(jwt.encode(claims, private, "RS256", {"kid": "rsa"}))
    assert found is not None
    assert (found.subject, found.scopes, found.user_id) == ("app", {"outcomes"}, None)
    assert known.check(jwt.encode(claims, private, "RS256")) is not None
    assert known.check(jwt.encode(claims, b"s" * 32, "HS256", {"kid": "oct"})) is not None
    modulus = public["n"].encode()
    forged = [
        jwt.encode(claims, modulus, "HS256", {"kid": "rsa"}),
        jwt.encode(claims, b"s" * 32, "HS256", {"kid": "rsa"}),
        jwt.encode(claims, private, "RS512", {"kid": "rsa"}),
        jwt.encode(claims, None, "none", {"kid": "rsa"}),
        jwt.encode({**claims, "iss": "them"}, private, "RS256", {"kid": "rsa"}),
        jwt.encode({**claims, "aud": ["a", "b"]}, private, "RS256", {"kid": "rsa"}),
        jwt.encode({**claims, "nbf": 4_000_000_000}, private, "RS256", {"kid": "rsa"}),
        jwt.encode({**claims, "user_id": 7}, private, "RS256", {"kid": "rsa"}),
        "a.b.c",
        "..",
    ]
    assert [known.check(each) for each in forged] == [None] * len(forged)


def test_a_key_that_leaves_the_file_is_known_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_LOOK_SECONDS", 0.0)
    path = tmp_path / "jwks.json"
    old, new = secret_key(b"o" * 32, "old"), secret_key(b"n" * 32, "new")
    path.write_text(json.dumps({"keys": [old]}))
    known = Tokens(path, "slate")
    of_old, of_new = (jwt.encode(CLAIMS, key * 32, "HS256") for key in (b"o", b"n"))
    for number, (keys, expected) in enumerate([([old, new], (True, True)), ([new], (False, True))]):
        path.write_text(json.dumps({"keys": keys}) + " " * number)
        monkeypatch.setattr(known, "_changed", 0)
        assert (known.check(of_old) is not None, known.check(of_new) is not None) == expected
    path.write_text("{")
    monkeypatch.setattr(known, "_changed", 0)
    assert known.check(of_new) is not None


@pytest.mark.parametrize("content", [
    "", "[]", '{"keys": []}', '{"keys": [{"kty": "EC"}]}', '{"keys": 7}',
    '{"keys": [{"kty": "oct", "k": "c2hvcnQtc2VjcmV0"}]}',
])  # fmt: skip
def test_files_of_keys_that_cannot_be_used(tmp_path: Path, content: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"feedback\.jwks") as caught:
        Tokens(path, "slate")
    assert "c2hvcnQ" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        Tokens(tmp_path / "none.json", "slate")
