"""Whether Envoy Gateway would take the script at all.

Before a script reaches Envoy, the gateway's controller runs it once, in a Lua without Envoy's additions and
without `require` and its like, with stand-ins for the interface (`luaValidation: Strict`, 1.9's default).
What fails there is refused, and every route of the policy answers 500; so is a call the stand-ins lack.
"""

import pytest
from lupa import lua51

from infra_checks.render import K8S

SCRIPT = K8S / "base" / "gateway" / "assign.lua"
TAKEN = [
    *("require", "loadfile", "dofile", "package", "debug", "load", "loadstring", "module", "newproxy"),
    *("rawget", "rawset", "getmetatable", "setmetatable", "getfenv", "setfenv", "bit", "jit", "_G"),
]
STAND_INS = """
local Headers = {}
function Headers:add(key, value) end
function Headers:get(key) return "example_value" end
function Headers:getAtIndex(key, index) return "example_value" end
function Headers:getNumValues(key) return 1 end
function Headers:remove(key) end
function Headers:replace(key, value) end
local Context = {}
function Context:get(key) return "get_example" end
local Handle = {}
function Handle:headers() return Headers end
function Handle:filterContext() return Context end
function Handle:logWarn(message) end
"""


def refused(source: str) -> str:
    """Why the controller would refuse a script; empty where it would not."""
    runtime = lua51.LuaRuntime()
    taken = "\n".join(f"{name} = nil" for name in TAKEN)
    # One chunk, as the controller runs it: what the script calls at its top is gone already.
    try:
        runtime.execute(f"{STAND_INS}\n{taken}\n{source}\nenvoy_on_request(Handle)")
    except lua51.LuaError as error:
        return str(error)
    return ""


def test_the_controller_takes_the_script() -> None:
    assert refused(SCRIPT.read_text()) == ""


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ('local bit = require("bit")', "require"),
        ("local mask = bit.band(3, 1)", "bit"),
        ("local hidden = setmetatable({}, {})", "setmetatable"),
    ],
)
def test_what_it_lacks_is_noticed(before: str, words: str) -> None:
    assert words in refused(f"{before}\nfunction envoy_on_request(handle) end")


def test_a_call_that_it_does_not_know_is_noticed() -> None:
    assert "recreateStream" in refused("function envoy_on_request(handle) handle:recreateStream() end")
