"""How a shadow's answers compare with stable's, from the log: the same request has the same id in both."""

import math
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from slate import columns
from slate.config import ShadowConfig
from slate.feedback import batches, tables
from slate.feedback.kept_days import KeptDays
from slate.rollout.judge.evidence import Requests, Step
from slate.rollout.judge.log import of_step
from slate.rollout.judge.shadow import Answer, Compared, Likeness, liken

#: Of so many times ``shadow.minimum`` requests the newest are compared, so that a long step costs no more.
NEWEST: Final = 20

_REQUEST: Final = "request_id"
_ROLLOUT: Final = "rollout_id"
_STEP: Final = "step"
_ITEMS: Final = "items"
_LATENCY: Final = "latency_ms"
_SCHEMA: Final = pa.schema(
    [
        tables.EXPOSURES.field(name)
        for name in (_REQUEST, columns.TIMESTAMP, _ROLLOUT, _STEP, _LATENCY, _ITEMS)
    ]
)


def read_likeness(
    days: KeptDays, step: Step, config: ShadowConfig, now: datetime, copied: Requests
) -> Likeness:
    """Stable's answers of a step beside those that the shadow gave to copies of the same requests.

    Args:
        copied: what the gateway counted of the copies. Those that failed left no answer in the log, and count
            as failed answers here.

    Raises:
        DataError: a file is not as the consumer writes it.
        StorageError: the log cannot be read.
    """
    given = _answers(days, f"{batches.EXPOSURES}/", step, now)
    shadow = _answers(days, f"{batches.SHADOW_EXPOSURES}/", step, now)
    both = [request for request in given if request in shadow][-NEWEST * config.minimum :]
    pairs = [Compared(given[request], shadow[request]) for request in both]
    return _with_failed(liken(pairs, config.k, config.persistence), copied)


def _with_failed(found: Likeness, copied: Requests) -> Likeness:
    """Failed is what the gateway saw fail, and of the rest what the log shows as failed."""
    if not copied.requests:
        return found
    lost = copied.errors / copied.requests
    failed = 0.0 if math.isnan(found.failed) else found.failed
    return replace(found, requests=found.requests + copied.errors, failed=lost + (1 - lost) * failed)


def _answers(days: KeptDays, folder: str, step: Step, now: datetime) -> dict[str, Answer]:
    """By request, in the order of time; of a request that was answered twice the first."""

    def answered(table: pa.Table) -> pa.Table:
        return table.filter(pc.and_(of_step(table, step), pc.is_valid(table[_REQUEST])))

    purpose = f"likeness of {step.rollout_id} {step.name}"
    table = days.read(folder, _SCHEMA, step.started.date(), now.date(), purpose, answered)
    table = table.sort_by(columns.TIMESTAMP)
    found: dict[str, Answer] = {}
    for row in table.select([_REQUEST, _LATENCY, _ITEMS]).to_pylist():
        found.setdefault(row[_REQUEST], _answer(row))
    return found


def _answer(row: dict[str, Any]) -> Answer:
    items = row[_ITEMS] or []
    return Answer(
        items=tuple(item[columns.ITEM] for item in items),
        scores=tuple(_number(item["score"]) for item in items),
        latency_ms=_number(row[_LATENCY]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
