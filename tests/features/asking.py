"""Requests as JSON, in the many spellings that clients use for the same thing."""

import json
import random
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from tests.features.oracle import EPOCH, Row

ZONES = (UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-3, minutes=-30)))


def request(
    generator: random.Random,
    encoders: Sequence[Mapping[str, Any]],
    user: str | None,
    at: int,
    context: Mapping[str, Any],
    history: Sequence[Row] | None = None,
) -> str:
    """A request at an instant (microseconds); a history is shuffled, and some that nobody knows is added."""
    kinds = {encoder["name"]: encoder for encoder in encoders}
    body: dict[str, Any] = {"at": spelled_instant(generator, at), "context": {}}
    if user is not None or generator.random() < 0.5:
        body["user_id"] = user
    for name, value in context.items():
        encoder = kinds.get(name, {"kind": "categorical"})
        if value is None and generator.random() < 0.5:
            continue
        body["context"][name] = spelled(generator, encoder, value)
    if history is not None:
        sent = [
            {"item_id": row.item, "event": row.event, "at": spelled_instant(generator, row.at)}
            for row in history
        ]
        for name in ("item_id", "event"):
            if sent and generator.random() < 0.3:
                sent.append({**generator.choice(sent), name: "never heard of, ø"})
        generator.shuffle(sent)
        body["history"] = sent
    return json.dumps(body, ensure_ascii=generator.random() < 0.5)


def spelled_instant(generator: random.Random, at: int) -> str:
    moment = EPOCH + timedelta(microseconds=at)
    return moment.astimezone(generator.choice(ZONES)).isoformat()


def spelled(generator: random.Random, encoder: Mapping[str, Any], value: Any) -> Any:
    """A prepared value as one of the JSON values that mean it."""
    kind = encoder["kind"]
    if isinstance(value, datetime):
        at = (value - EPOCH) // timedelta(microseconds=1)
        return generator.choice([spelled_instant(generator, at), at / 1e6, f"{at // 10**6}"])
    if kind in ("numeric", "timestamp"):
        unreadable = [None, "", float("nan"), float("inf"), "unknown", -float("inf")]
        return generator.choice(unreadable if value is None else [value, repr(value)])
    if value is None:
        return generator.choice([None, "", float("nan"), [], [None]] if "list" in kind else [None, ""])
    if kind == "categorical_list":
        return generator.choice([value, encoder["separator"].join(value), [*value, None, ""]])
    if kind == "text":
        return generator.choice([value, value.lower(), unicodedata.normalize("NFD", value)])
    if value in ("true", "false"):
        return generator.choice([value, value == "true"])
    if value.isdigit() and str(int(value)) == value:
        return generator.choice([value, int(value), float(value)])
    return value
