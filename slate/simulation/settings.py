"""What a simulation is run with: ``plan.yaml``, resolved for one size and one speed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from slate.simulation.world import Size

_DAY: Final = 86_400.0
_PLAN: Final = Path(__file__).with_name("plan.yaml")


@dataclass(frozen=True)
class Settings:
    """The size of the world, and how it is run.

    Attributes:
        early_days: of the log before, what a release has seen that knows little.
        visits_per_day: of a user, on average, while the simulation runs.
        time_scale: simulated seconds a real one.
        training: sections of the configuration, by name, that a release comes from.
        running: those that the stack runs with, ``rollout`` among them.
    """

    size: Size
    early_days: float
    visits_per_day: float
    time_scale: float
    training: dict[str, Any]
    running: dict[str, Any]


def read_settings(*, quick: bool, users: int | None = None, rate: float | None = None) -> Settings:
    """The settings of ``plan.yaml``.

    Args:
        users: in place of the plan's.
        rate: requests a real second, in place of the plan's; time passes the faster the more there are.
    """
    plan = yaml.safe_load(_PLAN.read_text(encoding="utf-8"))
    name = "quick" if quick else "full"
    world = {**plan["worlds"][name], **({} if users is None else {"users": users})}
    visits = float(plan["visits_per_day"])
    scale = (rate or float(plan["requests_per_s"])) * _DAY / (world["users"] * visits)
    return Settings(
        size=Size(**world),
        early_days=float(plan["early_days"]),
        visits_per_day=visits,
        time_scale=scale,
        training=plan["training"],
        running={
            "serving": plan["serving"],
            "feedback": plan["feedback"],
            "rollout": _rollout(plan["rollout"][name], scale),
        },
    )


def read_night_settings(*, users: int | None = None) -> Settings:
    """Those of days and nights, in which only visits are compressed: ``time_scale`` is theirs.

    Args:
        users: in place of the plan's.
    """
    plan = yaml.safe_load(_PLAN.read_text(encoding="utf-8"))
    nights = plan["nights"]
    world = {**nights["world"], **({} if users is None else {"users": users})}
    return Settings(
        size=Size(**world),
        early_days=float(nights["early_days"]),
        visits_per_day=float(nights["visits_per_day"]),
        time_scale=_DAY / float(nights["day_s"]),
        training={**plan["training"], "split": nights["sections"]["split"]},
        running={"serving": plan["serving"], "feedback": plan["feedback"], **nights["sections"]},
    )


def _rollout(parts: dict[str, Any], scale: float) -> dict[str, Any]:
    """Section ``rollout``, all in simulated seconds but for what the machines need."""
    days = {name: value * _DAY for name, value in parts["days"].items()}
    seconds = {name: value * scale for name, value in parts["seconds"].items()}
    return {**parts["as_is"], **days, **seconds}
