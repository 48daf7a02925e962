"""The one file that a move changes: which request goes where, and whose bucket meets the candidate.

Everything that depends on a split is here, so that Envoy takes it over at once and whole. The threshold
stands once, where the script reads it.
"""

import hashlib
import json
from typing import Any, Final

from slate.errors import GatewayError
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.template import Template

NAME: Final = "slate"
EVENTS: Final = "events"
STABLE: Final = "stable"
CANDIDATE: Final = "candidate"
SHADOW: Final = "shadow"
VARIANTS: Final = (STABLE, CANDIDATE, SHADOW)

_MODELS: Final = ("/v1/models", "/v2/models")
_FEEDBACK: Final = ("/v1/events", "/v1/items")
_LUA: Final = "envoy.filters.http.lua"
_PER_ROUTE: Final = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"
_ROUTES: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
_NOBODY: Final = "none"
_MILLION: Final = 1_000_000


def routes_file(split: Split, template: Template) -> str:
    """The file's text; its version follows from what it says."""
    text = json.dumps(_configuration(split, template), sort_keys=True)
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, "resources": [json.loads(text)]}, indent=1) + "\n"


def version_of(text: str) -> str:
    """The version that a routes file has."""
    return str(json.loads(text)["version_info"])


def split_of(text: str) -> Split:
    """What a routes file says, the inverse of :func:`routes_file`.

    Raises:
        GatewayError: it is not such a file.
    """
    try:
        (routes,) = json.loads(text)["resources"]
        (host,) = routes["virtual_hosts"]
        context = host["typed_per_filter_config"][_LUA]["filter_context"]
        stable = next(each for each in host["routes"] if each["name"] == STABLE)
        mirrors = stable["route"].get("request_mirror_policies", [])
        parts = mirrors[0]["runtime_fraction"]["default_value"]["numerator"] if mirrors else 0
        salt, step = str(context["salt"]), str(context["step"])
        return Split(
            rollout_id="" if salt == _NOBODY else salt,
            step="" if step == _NOBODY else step,
            threshold=int(context["threshold"]),
            mirror_percent=parts * 100 / _MILLION,
        )
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise GatewayError(f"the gateway's routes cannot be read ({error!r}); 'slate up' anew") from error


def _configuration(split: Split, template: Template) -> dict[str, Any]:
    context = {
        "salt": split.rollout_id or _NOBODY,
        "threshold": split.threshold,
        "step": split.step or _NOBODY,
    }
    return {
        "@type": _ROUTES,
        "name": NAME,
        "virtual_hosts": [
            {
                "name": NAME,
                "domains": ["*"],
                "typed_per_filter_config": {_LUA: {"@type": _PER_ROUTE, "filter_context": context}},
                "routes": [
                    *(_events(path, template) for path in _FEEDBACK),
                    *(_variant(CANDIDATE, path, template) for path in _MODELS),
                    *(_variant(STABLE, path, template, split.mirror_percent) for path in _MODELS),
                ],
            }
        ],
    }


def _variant(variant: str, path: str, template: Template, mirror_percent: float = 0.0) -> dict[str, Any]:
    """Requests below a path that the script gave to a variant, exactly."""
    match: dict[str, Any] = {"path_separated_prefix": path}
    if variant != STABLE:
        match["headers"] = [{"name": "x-slate-variant", "string_match": {"exact": variant}}]
    route: dict[str, Any] = {"cluster": variant, "timeout": f"{template.request_s}s"}
    if mirror_percent > 0:
        fraction = {"numerator": round(mirror_percent * _MILLION / 100), "denominator": "MILLION"}
        route["request_mirror_policies"] = [
            {"cluster": SHADOW, "runtime_fraction": {"default_value": fraction}}
        ]
    return {"name": variant, "match": match, "route": route}


def _events(path: str, template: Template) -> dict[str, Any]:
    """What users did is assigned to nobody."""
    return {
        "name": EVENTS,
        "match": {"path_separated_prefix": path},
        "route": {"cluster": EVENTS, "timeout": f"{template.request_s}s"},
        "typed_per_filter_config": {_LUA: {"@type": _PER_ROUTE, "disabled": True}},
    }
