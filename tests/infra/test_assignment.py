"""The gateway's script, in the LuaJIT that Envoy runs, against the contract's own words in Python."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa import luajit21

from infra_checks.render import K8S

SCRIPT = K8S / "base" / "gateway" / "assign.lua"
# The part of Envoy's interface that the script uses.
ENVOY = b"""
local Headers = {}
Headers.__index = Headers
function Headers:get(name) return self.values[name] end
function Headers:remove(name) self.values[name] = nil end
function Headers:replace(name, value) self.values[name] = value end
function run(values, context)
  local headers = setmetatable({values = values}, Headers)
  local cleared = false
  envoy_on_request({
    headers = function() return headers end,
    filterContext = function() return context end,
    clearRouteCache = function() cleared = true end,
  })
  return cleared
end
"""


@pytest.fixture(scope="module")
def lua() -> Any:
    runtime = luajit21.LuaRuntime(encoding=None)
    runtime.execute(SCRIPT.read_bytes() + ENVOY)
    return runtime


def in_python(salt: str, user_id: str) -> int:
    """The contract: fmix32(fnv1a32(utf8(salt + ":" + user_id))) mod 10000."""
    value = 2166136261
    for byte in f"{salt}:{user_id}".encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return (value ^ (value >> 16)) % 10_000


def answered(lua: Any, headers: dict[bytes, bytes], context: dict[bytes, Any] | None) -> dict[bytes, bytes]:
    values = lua.table_from(headers)
    assert lua.globals()[b"run"](values, None if context is None else lua.table_from(context)) is True
    return dict(values)


@pytest.mark.parametrize(
    ("salt", "user", "bucket"), [("r1", "42", 7194), ("r1", "é", 9705), ("r2", "user-000001", 3073)]
)
def test_the_contracts_vectors(lua: Any, salt: str, user: str, bucket: int) -> None:
    assert int(lua.globals()[b"bucket_of"](salt.encode(), user.encode())) == bucket
    assert in_python(salt, user) == bucket


@given(salt=st.text(max_size=12), user=st.text(min_size=1, max_size=40))
def test_every_user_falls_into_the_same_bucket(lua: Any, salt: str, user: str) -> None:
    assert int(lua.globals()[b"bucket_of"](salt.encode(), user.encode())) == in_python(salt, user)


@pytest.mark.parametrize(("threshold", "variant"), [(3073, b"stable"), (3074, b"candidate"), (0, b"stable")])
def test_below_the_threshold_is_the_candidate(lua: Any, threshold: int, variant: bytes) -> None:
    headers = answered(lua, {b"x-slate-user-id": b"user-000001"}, {b"salt": b"r2", b"threshold": threshold})
    assert headers[b"x-slate-variant"] == variant
    assert headers[b"x-slate-bucket"] == b"3073"


def test_what_a_client_says_of_itself_is_overwritten(lua: Any) -> None:
    forged = {b"x-slate-variant": b"candidate", b"x-slate-bucket": b"0"}
    assert answered(lua, dict(forged), {b"salt": b"r2", b"threshold": 10_000}) == {
        b"x-slate-variant": b"stable"
    }
    named = answered(lua, forged | {b"x-slate-user-id": b"user-000001"}, {b"salt": b"r2", b"threshold": 1})
    assert (named[b"x-slate-variant"], named[b"x-slate-bucket"]) == (b"stable", b"3073")


@pytest.mark.parametrize("context", [None, {}, {b"threshold": b"half"}])
def test_without_settings_everybody_is_stable(lua: Any, context: dict[bytes, Any] | None) -> None:
    assert answered(lua, {b"x-slate-user-id": b"u"}, context)[b"x-slate-variant"] == b"stable"
