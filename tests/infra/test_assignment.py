"""The gateway's script, in the LuaJIT that Envoy runs, against the contract's own words in Python."""

import contextlib
import importlib.resources
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
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
local Context = {}
Context.__index = Context
function Context:get(name)
  if self.values[name] ~= nil then return self.values[name] end
end
function run(values, context)
  local headers = setmetatable({values = values}, Headers)
  local cleared = false
  envoy_on_request({
    headers = function() return headers end,
    filterContext = function() return setmetatable({values = context}, Context) end,
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


def answered(lua: Any, headers: dict[bytes, bytes], context: dict[bytes, Any]) -> dict[bytes, bytes]:
    values = lua.table_from(headers)
    assert lua.globals()[b"run"](values, lua.table_from(context)) is True
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
    forged = {
        b"x-slate-variant": b"candidate",
        b"x-slate-bucket": b"0",
        b"x-slate-rollout": b"r9",
        b"x-slate-step": b"50",
        b"x-slate-allocation": b"1",
    }
    context = {b"salt": b"r2", b"threshold": 10_000, b"step": b"5"}
    assert answered(lua, dict(forged), context) == {b"x-slate-variant": b"stable"}
    named = answered(lua, forged | {b"x-slate-user-id": b"user-000001"}, context | {b"threshold": 1})
    assert named == {
        b"x-slate-user-id": b"user-000001",
        b"x-slate-variant": b"stable",
        b"x-slate-bucket": b"3073",
        b"x-slate-rollout": b"r2",
        b"x-slate-step": b"5",
        b"x-slate-allocation": b"0.0001",
    }


@pytest.mark.parametrize("salt", [b"none", b""])
def test_outside_a_rollout_nobody_has_a_bucket(lua: Any, salt: bytes) -> None:
    user = {b"x-slate-user-id": b"u"}
    context = {b"salt": salt, b"threshold": 10_000, b"step": b"none"}
    assert answered(lua, dict(user), context) == {**user, b"x-slate-variant": b"stable"}


@pytest.mark.parametrize("context", [{}, {b"threshold": b"half"}, {b"salt": b"r1", b"threshold": b"half"}])
def test_without_settings_everybody_is_stable(lua: Any, context: dict[bytes, Any]) -> None:
    assert answered(lua, {b"x-slate-user-id": b"u"}, context)[b"x-slate-variant"] == b"stable"


def envoy_config(context: dict[str, Any]) -> dict[str, Any]:
    """One listener whose two routes say which of them was taken, as Envoy Gateway would set them up."""
    lua = "type.googleapis.com/envoy.extensions.filters.http.lua.v3"
    per_route = {"envoy.filters.http.lua": {"@type": f"{lua}.LuaPerRoute", "filter_context": context}}

    def route(variant: str, **match: Any) -> dict[str, Any]:
        answer = {"status": 200, "body": {"inline_string": variant}}
        return {
            "match": {"prefix": "/", **match},
            "direct_response": answer,
            "typed_per_filter_config": per_route,
        }

    header = {"name": "x-slate-variant", "string_match": {"exact": "candidate"}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager"
        ".v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "slate",
                    "domains": ["*"],
                    "routes": [route("candidate", headers=[header]), route("stable")],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.lua",
                "typed_config": {
                    "@type": f"{lua}.Lua",
                    "default_source_code": {"inline_string": SCRIPT.read_text()},
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            },
        ],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {
        "name": "slate",
        "address": address,
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    }
    return {"admin": {"address": address}, "static_resources": {"listeners": [listener]}}


@contextlib.contextmanager
def envoy(folder: Path, context: dict[str, Any]) -> Iterator[httpx.Client]:
    """The real Envoy with the script; a client of its listener."""
    program = Path(str(importlib.resources.files("envoy") / "_bin" / "envoy"))
    settings, admin = folder / "envoy.json", folder / "admin"
    settings.write_text(json.dumps(envoy_config(context)))
    arguments = ["-c", settings, "--admin-address-path", admin, "--use-dynamic-base-id", "--log-level", "off"]
    process = subprocess.Popen([program, *arguments])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listening(process, admin)}") as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def listening(process: "subprocess.Popen[bytes]", admin: Path) -> int:
    """The port of the listener, once it has one."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError, OSError, IndexError, KeyError):
            listeners = httpx.get(f"http://{admin.read_text()}/listeners?format=json").json()
            return int(listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"])
        time.sleep(0.05)
    pytest.fail(f"Envoy did not start (exit code {process.poll()})")


def test_envoy_takes_the_route_of_the_assigned_variant(tmp_path: Path) -> None:
    threshold = 3074
    users = ["user-000001", *(f"user-{number}" for number in range(40))]
    expected = ["candidate" if in_python("r2", user) < threshold else "stable" for user in users]
    with envoy(tmp_path, {"salt": "r2", "threshold": threshold}) as client:
        met = [client.get("/", headers={"x-slate-user-id": user}).text for user in users]
        forged = client.get("/", headers={"x-slate-variant": "candidate"}).text
    assert met == expected
    assert {"candidate", "stable"} <= set(met)
    assert forged == "stable"


def test_envoy_without_settings_assigns_nobody(tmp_path: Path) -> None:
    with envoy(tmp_path, {}) as client:
        assert client.get("/", headers={"x-slate-user-id": "user-000001"}).text == "stable"
