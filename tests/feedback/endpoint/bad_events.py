"""Every kind of malformed event that the endpoint knows: how it is broken, and what must come of it.

``python -m tests.feedback.endpoint.bad_events > docs/bad-events.md`` writes the table; what it says about
statuses and reasons is what came of sending each kind.
"""

# ruff: noqa: E501 - a kind is a row of a table, and rows are not folded.

import base64
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from slate.clock import isoformat
from slate.feedback.endpoint.keys import VARIABLE
from slate.feedback.queue import QUARANTINE
from tests.feedback.endpoint.world import APP, KEYS, NOW, SHOP, World, token

CLOUD = {"content-type": "application/cloudevents+json"}


@dataclass(frozen=True)
class Sent:
    """One request."""

    body: Any
    headers: dict[str, str] | None = None
    key: str = SHOP


@dataclass(frozen=True)
class Kind:
    """A way to break an event. ``says`` begins the reason, ``status`` is that of the whole request."""

    name: str
    how: str
    send: Callable[[World], Sent]
    says: str
    status: int = 202


@dataclass(frozen=True)
class Outcome:
    """What came of sending it: the status, the reason, and how many records were put aside."""

    status: int
    reason: str
    quarantined: int
    taken: int


def with_fields(**changes: Any) -> Callable[[World], Sent]:
    return lambda world: Sent(world.event(**changes))


def always(body: Any, headers: dict[str, str] | None = None) -> Callable[[World], Sent]:
    return lambda _: Sent(body, headers)


def text(pattern: str, replacement: str) -> Callable[[World], Sent]:
    """The JSON text of a sound event with something replaced."""

    def send(world: World) -> Sent:
        sound = json.dumps(world.event(value=5))
        assert pattern in sound
        return Sent(sound.replace(pattern, replacement).encode())

    return send


def ahead(**time: float) -> str:
    return isoformat(NOW + timedelta(**time))


def shown(
    user: str = "ann", variant: str = "stable", age: float = 0.0, **changes: Any
) -> Callable[[World], Sent]:
    """An outcome with the exposure id of a slate that this user saw ``age`` seconds ago."""

    def send(world: World) -> Sent:
        world.later(-age)
        exposure = world.signer.sign(user, "r1", variant)
        world.later(age)
        return Sent(world.event(exposure_id=exposure, **changes))

    return send


def broken_exposure(change: Callable[[list[str]], list[str]]) -> Callable[[World], Sent]:
    """An outcome whose exposure id has its four parts changed."""

    def send(world: World) -> Sent:
        parts = world.signer.sign("ann", "r1", "stable").split(".")
        return Sent(world.event(exposure_id=".".join(change(parts))))

    return send


def other_payload(parts: list[str]) -> list[str]:
    payload = json.loads(base64.urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4)))
    text = json.dumps({**payload, "variant": "candidate"}).encode()
    return [parts[0], parts[1], base64.urlsafe_b64encode(text).decode().rstrip("="), parts[3]]


def cloud(headers: dict[str, str] | None = None, **changes: Any) -> Callable[[World], Sent]:
    """A CloudEvent with these attributes changed; None leaves one out."""

    def send(world: World) -> Sent:
        envelope = {
            "specversion": "1.0", "id": "c1", "source": "/web", "type": "slate.like", "data": world.event(), **changes
        }  # fmt: skip
        return Sent({n: v for n, v in envelope.items() if v is not None}, headers or CLOUD)

    return send


FIELDS = (
    Kind("no schema", "schema is left out", with_fields(schema=None), "schema: is missing"),
    Kind("another schema", "schema 2", with_fields(schema=2), "schema: 2 is not known"),
    Kind("schema as text", 'schema "1"', with_fields(schema="1"), "schema: '1' is not known"),
    Kind("schema as true", "schema true", with_fields(schema=True), "schema: True is not known"),
    Kind("no event id", "event_id is left out", with_fields(event_id=None), "event_id: is missing"),
    Kind("empty event id", 'event_id ""', with_fields(event_id=""), "event_id: has 0 bytes"),
    Kind("long event id", "event_id of 257 bytes", with_fields(event_id="e" * 257), "event_id: has 257 bytes"),
    Kind("event id as number", "event_id 12", with_fields(event_id=12), "event_id: 12 is not text"),
    Kind("no user", "user_id is left out", with_fields(user_id=None), "user_id: is missing"),
    Kind("user as number", "user_id 42", with_fields(user_id=42), "user_id: 42 is not text"),
    Kind("user as list", 'user_id ["ann"]', with_fields(user_id=["ann"]), "user_id: ['ann'] is not text"),
    Kind("blank user", "user_id of spaces", with_fields(user_id="   "), "user_id: '   ' begins or ends"),
    Kind("spelled-out missing user", 'user_id "undefined"', with_fields(user_id="undefined"), "user_id: 'undefined'"),
    Kind("user with a line break", 'user_id "ann\\nbob"', with_fields(user_id="ann\nbob"), "user_id: 'ann\\nbob' holds"),
    Kind("half a character", "a lone surrogate in user_id", text('"ann"', '"a\\ud800"'), "user_id: holds half"),
    Kind("long user", "user_id of 1,026 bytes in 513 characters", with_fields(user_id="é" * 513), "user_id: has 1026"),
    Kind("no item", "item_id is left out", with_fields(item_id=None), "item_id: is missing"),
    Kind("item as object", 'item_id {"id": 7}', with_fields(item_id={"id": 7}), "item_id: {'id': 7} is not text"),
    Kind("item with space", 'item_id "i7 "', with_fields(item_id="i7 "), "item_id: 'i7 ' begins or ends"),
    Kind("zero byte", "item_id with a zero byte", with_fields(item_id="i\x007"), "item_id: 'i\\x007' holds"),
    Kind("no event", "event is left out", with_fields(event=None), "event: is missing"),
    Kind("unknown event", "an event the data set does not describe", with_fields(event="buy"), "event: 'buy' is no"),
    Kind("event in capitals", 'event "Like"', with_fields(event="Like"), "event: 'Like' is no event"),
    Kind("event as list", 'event ["like"]', with_fields(event=["like"]), "event: ['like'] is no event"),
    Kind("no value", "watch, weighted by value, without one", with_fields(event="watch"), "value: is missing"),
    Kind("value as text", 'value "5"', with_fields(value="5"), "value: '5' is not a number"),
    Kind("value as true", "value true", with_fields(value=True), "value: True is not a number"),
    Kind("NaN", "value NaN, which JSON has not", text('"value": 5', '"value": NaN'), "value: nan is not finite"),
    Kind("infinity", "value -Infinity", text('"value": 5', '"value": -Infinity'), "value: -inf is not finite"),
    Kind("too large a number", "value 1e400", text('"value": 5', '"value": 1e400'), "value: inf is not finite"),
    Kind("huge whole number", "a value of 401 digits", with_fields(value=10**400), "value: inf is not finite"),
    Kind("value out of range", "a dwell of two hours", with_fields(event="watch", value=7200), "value: 7200 is out"),
    Kind("negative value", "a dwell below zero", with_fields(event="watch", value=-1), "value: -1 is out of range"),
    Kind("value against its event", "finish after 5 s", with_fields(event="finish", value=5), "value: 5 is out"),
    Kind("no timestamp", "timestamp is left out", with_fields(timestamp=None), "timestamp: is missing"),
    Kind("timestamp as number", "seconds since 1970", with_fields(timestamp=1780315200), "timestamp: 1780315200 is"),
    Kind("no time zone", "timestamp without Z", with_fields(timestamp="2026-06-01T12:00:00"), "timestamp: '2026-06-01T12:00:00' is not an instant with"),
    Kind("another time zone", "timestamp at +02:00", with_fields(timestamp="2026-06-01T14:00:00+02:00"), "timestamp: '2026-06-01T14:00:00+02:00' is not in UTC"),
    Kind("no such day", "30 February", with_fields(timestamp="2026-02-30T12:00:00Z"), "timestamp: '2026-02-30T12:00:00Z' is not a day"),
    Kind("a date alone", "timestamp without a time", with_fields(timestamp="2026-06-01"), "timestamp: '2026-06-01' is not"),
    Kind("a week date", "timestamp 2026-W23-1", with_fields(timestamp="2026-W23-1T12:00:00Z"), "timestamp: '2026-W23-1T12:00:00Z' is not an instant"),
    Kind("too old", "eight days ago", with_fields(timestamp=ahead(days=-8)), "timestamp: '2026-05-24"),
    Kind("in the future", "five minutes ahead", with_fields(timestamp=ahead(minutes=5)), "timestamp: '2026-06-01T12:05"),
    Kind("a field too many", "a misspelt itemid beside the others", with_fields(itemid="i7"), "itemid: is not a field"),
    Kind("a field twice", "user_id twice in one object", text('"user_id"', '"user_id": "bob", "user_id"'), "user_id: stands twice"),
    Kind("no object", "a list of text", always(["like"]), "event: 'like' is not an object"),
    Kind("nothing", "a list with null", always([None]), "event: None is not an object"),
)  # fmt: skip

EXPOSED = (
    Kind("exposure as number", "exposure_id 7", with_fields(exposure_id=7), "exposure_id: 7 is not text"),
    Kind("empty exposure", 'exposure_id ""', with_fields(exposure_id=""), "exposure_id: is no exposure id"),
    Kind("made-up exposure", "any text", with_fields(exposure_id="v1.k1.x"), "exposure_id: is no exposure id"),
    Kind("forged signature", "one character of the signature changed",
         broken_exposure(lambda p: [*p[:3], ("A" if p[3][0] != "A" else "B") + p[3][1:]]), "exposure_id: is not signed"),
    Kind("altered content", "another variant under the old signature", broken_exposure(other_payload), "exposure_id: is not signed"),
    Kind("unknown signing key", "the id of another key", broken_exposure(lambda p: [p[0], "k2", *p[2:]]), "exposure_id: is not signed"),
    Kind("another version", "v2", broken_exposure(lambda p: ["v2", *p[1:]]), "exposure_id: is no exposure id"),
    Kind("somebody else's exposure", "bob's exposure id with ann's event", shown("bob"), "exposure_id: belongs to another user"),
    Kind("expired exposure", "a slate of 25 hours ago", shown(age=90_000), "exposure_id: is 90000 s old"),
    Kind("shadow exposure", "the id of a shadow answer", shown(variant="shadow"), "exposure_id: is of a slate nobody saw"),
    Kind("before its slate", "an hour before the slate was shown", shown(timestamp=ahead(hours=-1)), "timestamp: lies 3600 s before"),
    Kind("no exposure", "an organic event, the key without that scope", lambda world: Sent(world.event(), key=APP), "exposure_id: is missing"),
    Kind("another user's token", "a token of bob's, an event of ann's", lambda world: Sent(world.event(), key=token(user_id="bob")), "user_id: is not the user"),
)  # fmt: skip

CLOUDY = (
    Kind("CloudEvent of another version", "specversion 0.3", cloud(specversion="0.3"), "specversion: '0.3' is not"),
    Kind("CloudEvent without id", "id is left out", cloud(id=None), "id: is missing"),
    Kind("CloudEvent without data", "data is left out", cloud(data=None), "data: None is not an object"),
    Kind("CloudEvent with other data", "datacontenttype text/plain", cloud(datacontenttype="text/plain"), "datacontenttype: 'text/plain'"),
    Kind("CloudEvent with bad base64", "data_base64 that is none", cloud(data=None, data_base64="%%"), "data_base64: is no JSON"),
    Kind("binary CloudEvent without source", "ce-headers without ce-source",
         lambda world: Sent(world.event(), {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "slate.like"}), "source: is missing"),
)  # fmt: skip

UNREADABLE = (
    Kind("no JSON", "a body cut in half", lambda world: Sent(json.dumps(world.event())[:40].encode()), "body: is not JSON", 400),
    Kind("empty body", "no byte", always(b""), "body: is empty", 400),
    Kind("empty list", "[]", always([]), "body: holds nothing", 400),
    Kind("a number", "7", always(7), "body: is neither an object nor a list", 400),
    Kind("not UTF-8", "Latin-1", always('{"user_id": "é"}'.encode("latin-1")), "body: is not UTF-8", 400),
    Kind("UTF-16", "the body in UTF-16", lambda world: Sent(json.dumps(world.event()).encode("utf-16")), "body: is not UTF-8", 400),
    Kind("a byte order mark", "three bytes before the JSON", always(b"\xef\xbb\xbf{}"), "body: is not JSON", 400),
    Kind("nested without end", "100,000 brackets", always(b"[" * 100_000), "body: is nested too deeply", 400),
    Kind("endless number", "a number of 5,000 digits", always(b'{"value": ' + b"9" * 5000 + b"}"), "body: holds a number of too many digits", 400),
    Kind("no batch", "one CloudEvent declared as a batch", cloud({"content-type": "application/cloudevents-batch+json"}), "body: is no batch", 400),
)  # fmt: skip

REFUSED = (
    Kind("too large", "a body of 2 MB", always(b" " * 2_000_000), "body: has more than 1048576 bytes", 413),
    Kind("too many", "1,001 events", always([{}] * 1001), "body: has more than 1000 parts", 413),
    Kind("another notation", "text/csv", always(b"a,b", {"content-type": "text/csv"}), "content-type: is not read", 415),
    Kind("another alphabet", "charset=utf-16", always(b"{}", {"content-type": "application/json; charset=utf-16"}), "content-type: is not read", 415),
    Kind("compressed", "content-encoding gzip", always(b"{}", {"content-encoding": "gzip"}), "content-type: is not read", 415),
)  # fmt: skip

KINDS: Sequence[Kind] = (*FIELDS, *EXPOSED, *CLOUDY, *UNREADABLE, *REFUSED)


def outcome_of(kind: Kind) -> Outcome:
    """Send one kind to a fresh endpoint."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        sent = kind.send(world)
        answer = world.ask(body=sent.body, headers=sent.headers, key=sent.key)
        told = answer.json()
        reason = told["error"] if "error" in told else told["rejected"][0]["reason"]
        found = Outcome(answer.status_code, reason, len(world.records(QUARANTINE)), len(world.records()))
        world.close()
        return found


def table(outcomes: dict[str, Outcome]) -> str:
    """The document."""
    lines = [
        "# Malformed events, and what comes of them",
        "",
        "Each kind is a test that sends one request to an endpoint over a data set with the events `like`, `watch` "
        "(weighted by value), `finish` (a dwell of 60 s or more) and `hide`. Status and reason are what it answered. "
        "With 202 the rest of the request is taken and the malformed event is put aside in `queue:quarantine` with "
        "its reason; a body of which nothing can be read is put aside too. What is refused with 413 or 415 is not "
        "kept. None of them ever reaches `queue:events`.",
        "",
        "| kind | how it is broken | status | reason |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        found = outcomes[kind.name]
        reason = found.reason.replace("|", "\\|")
        lines.append(f"| {kind.name} | {kind.how} | {found.status} | {reason} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    os.environ[VARIABLE] = KEYS
    sys.stdout.write(table({kind.name: outcome_of(kind) for kind in KINDS}))
