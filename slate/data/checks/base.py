"""What a check is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import ibis.expr.types as ir

from slate.config import DatasetConfig
from slate.data.findings import Name, Severity

#: Position of a row in its prepared table, so that "the first of several" has one meaning.
ROW: Final = "__row"


class Facts(NamedTuple):
    """What a check may know beside its table.

    ``record`` is the content of ``dataset.json``; ``rows`` and ``users`` and ``items`` count what is left
    of the interactions after the row checks, ``events`` by event name.
    """

    config: DatasetConfig
    now: datetime
    record: Mapping[str, Any]
    rows: int = 0
    users: int = 0
    items: int = 0
    events: Mapping[str, int] = {}


@dataclass(frozen=True)
class RowCheck:
    """``flags(table, facts)`` is true for an offending row, which is then dropped or kept as ``effect`` says.

    ``required``: later steps cannot work with such rows, so the check cannot be switched off.
    """

    name: str
    table: Name
    severity: Severity
    effect: Literal["dropped", "kept"]
    what: str
    fix: str
    flags: Callable[[ir.Table, Facts], ir.BooleanValue]
    required: bool = False


@dataclass(frozen=True)
class Found:
    """How much of something a check found, and a few examples."""

    count: int
    samples: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class TableCheck:
    """``find(tables, facts)`` looks at the rows that the row checks left; a count of 0 passes."""

    name: str
    table: Name
    severity: Severity
    what: str
    fix: str
    find: Callable[[Mapping[Name, ir.Table], Facts], Found]
    required: bool = False


@dataclass(frozen=True)
class FactCheck:
    """``count(facts)`` is how much of something there is that should not be; 0 passes."""

    name: str
    table: Name
    severity: Severity
    what: str
    fix: str
    count: Callable[[Facts], int]
    samples: Callable[[Facts], list[dict[str, Any]]] = lambda _: []
    required: bool = False
