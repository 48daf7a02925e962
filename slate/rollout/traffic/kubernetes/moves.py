"""A split as the cluster's objects hold it, and the JSON patches that make it so.

The threshold stands once, in the filter context of the EnvoyExtensionPolicy. The mirror stands once, in the
rule ``stable`` of the HTTPRoute.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from slate.errors import GatewayError
from slate.release.channels import CANDIDATE, STABLE
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.kubernetes.names import NOBODY, POLICY, ROUTE

Document = Mapping[str, Any]
Patch = list[dict[str, Any]]

CONTEXT: Final = "/spec/lua/0/filterContext"

_MIRROR: Final = "RequestMirror"
_MILLION: Final = 1_000_000


def split_of(policy: Document, route: Document) -> Split:
    """What the objects say.

    Raises:
        GatewayError: they are not those of k8s/base.
    """
    try:
        context = policy["spec"]["lua"][0].get("filterContext") or {}
        salt, step = str(context.get("salt", NOBODY)), str(context.get("step", NOBODY))
        return Split(
            rollout_id="" if salt == NOBODY else salt,
            step="" if step == NOBODY else step,
            threshold=int(context.get("threshold", 0)),
            mirror_percent=_mirrored(route),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise GatewayError(
            f"{POLICY.plural}/{POLICY.name}: is not the one of k8s/base ({error!r}); apply the overlay again"
        ) from error


def context_patch(split: Split) -> Patch:
    """Who meets which variant."""
    context = {
        "salt": split.rollout_id or NOBODY,
        "threshold": split.threshold,
        "step": split.step or NOBODY,
    }
    return [{"op": "replace", "path": CONTEXT, "value": context}]


def mirror_patch(split: Split, route: Document) -> Patch:
    """How much of stable's requests is copied; empty where the route says so already.

    Raises:
        GatewayError: requests are to be copied, and the route has no mirror.
    """
    if _mirrored(route) == split.mirror_percent:
        return []
    place = _mirror(route)
    if place is None:
        raise GatewayError(
            f"{ROUTE.plural}/{ROUTE.name}: its rule {STABLE} copies nothing to a shadow; add the option "
            "k8s/options/shadow to the overlay and apply it"
        )
    rule, number = place
    path = f"/spec/rules/{rule}/filters/{number}/requestMirror"
    held = _rules(route)[rule]["filters"][number]["requestMirror"]
    kept = {name: value for name, value in held.items() if name not in ("percent", "fraction")}
    return [{"op": "replace", "path": path, "value": {**kept, **share(split.mirror_percent)}}]


def check_rules(split: Split, route: Document) -> None:
    """Users of the candidate need a rule that leads to it: without one, stable's would take them.

    Raises:
        GatewayError: there is none.
    """
    if split.threshold and CANDIDATE not in rule_places(route):
        raise GatewayError(
            f"{ROUTE.plural}/{ROUTE.name}: has no rule {CANDIDATE}; add the option k8s/options/canary to the "
            "overlay and apply it"
        )


def rule_places(route: Document) -> dict[str, int]:
    """The place of each rule by its name: the gateway's clusters are called by it."""
    return {str(rule.get("name", "")): place for place, rule in enumerate(_rules(route))}


def mirror_place(route: Document) -> int | None:
    """The place of the mirror among the filters of the rule ``stable``."""
    place = _mirror(route)
    return None if place is None else place[1]


def share(percent: float) -> dict[str, Any]:
    """A share of requests as the Gateway API spells it: whole percents, or a fraction."""
    if float(percent).is_integer():
        return {"percent": int(percent)}
    parts = round(percent * _MILLION / 100)
    return {"fraction": {"numerator": parts, "denominator": _MILLION}}


def _mirrored(route: Document) -> float:
    place = _mirror(route)
    if place is None:
        return 0.0
    mirror = _rules(route)[place[0]]["filters"][place[1]]["requestMirror"]
    fraction = mirror.get("fraction")
    if fraction:
        return 100 * int(fraction["numerator"]) / int(fraction.get("denominator", 100))
    return float(mirror.get("percent", 100))


def _mirror(route: Document) -> tuple[int, int] | None:
    rule = rule_places(route).get(STABLE)
    if rule is None:
        raise GatewayError(f"{ROUTE.plural}/{ROUTE.name}: has no rule {STABLE}; apply the overlay again")
    filters = _rules(route)[rule].get("filters") or []
    return next(((rule, number) for number, each in enumerate(filters) if each["type"] == _MIRROR), None)


def _rules(route: Document) -> Sequence[Document]:
    rules: Sequence[Document] = route["spec"]["rules"]
    return rules
