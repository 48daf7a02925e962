"""What a check says, and how severe each check is."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from slate.config import CheckSeverity
from slate.errors import ConfigError

Severity = Literal["error", "warning"]
Name = Literal["interactions", "items", "users"]


@dataclass(frozen=True)
class Finding:
    """What one check found. ``effect`` says what happened to the ``count`` rows (or other things)."""

    name: str
    table: Name
    severity: Severity
    count: int
    effect: Literal["dropped", "kept", "none"]
    what: str
    fix: str
    samples: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.count} ({self.what}); {self.fix}"


class Check(Protocol):
    """What every registered check has. A ``required`` one cannot be switched off."""

    @property
    def name(self) -> str: ...

    @property
    def severity(self) -> Severity: ...

    @property
    def required(self) -> bool: ...


def resolve(
    chosen: Mapping[str, CheckSeverity], checks: Iterable[Check], where: str
) -> dict[str, Literal["error", "warning", "off"]]:
    """Severity by check: the configuration's where it names one, else the check's own.

    Raises:
        ConfigError: ``where``, the configuration key, names an unknown check or switches off a required
            one.
    """
    known = {check.name: check for check in checks}
    for name, severity in chosen.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{where}.{name}: no such check{hint} There are {', '.join(known)}")
        if severity == "off" and known[name].required:
            raise ConfigError(
                f"{where}.{name}: cannot be off, since later steps cannot use what it finds; "
                "set it to warning"
            )
    return {name: chosen.get(name, check.severity) for name, check in known.items()}
