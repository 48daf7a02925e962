"""What one look found."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """``absent`` is something optional that is not there."""

    GOOD = "good"
    ABSENT = "absent"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do about it (empty where it is good)."""

    name: str
    health: Health
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        return {
            "name": self.name,
            "health": self.health.value,
            "found": self.found,
            "advice": self.advice,
        }
