"""From the bytes of a request to its parts, whatever the notation."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from slate.feedback.endpoint import cloudevents, fields
from slate.feedback.endpoint.refusal import BadFieldError, RefusedError

_JSON: Final = "application/json"
_LINES: Final = ("application/x-ndjson", "application/jsonl")
_EVENT: Final = "application/cloudevents+json"
_EVENTS: Final = "application/cloudevents-batch+json"
_KINDS: Final = (_JSON, *_LINES, _EVENT, _EVENTS)


@dataclass(frozen=True)
class Part:
    """One event or item as it came: its JSON, or why there is none."""

    raw: Any
    problem: BadFieldError | None = None


class UnreadableError(RefusedError):
    """Nothing of the body can be read: 400."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            HTTPStatus.BAD_REQUEST, f"body: {problem}; send a JSON object, or a list of them, in UTF-8"
        )


def parts_of(body: bytes, headers: Mapping[bytes, bytes], most: int) -> list[Part]:
    """The parts of a request: an object, a list, lines, or CloudEvents in any of their modes.

    Args:
        most: how many a request may have.

    Raises:
        UnreadableError: 400.
        RefusedError: 413 for too many, 415 for another notation.
    """
    kind = _kind(headers)
    if b"ce-specversion" in headers:
        return [_part(lambda: cloudevents.binary(headers, _loaded(body)))]
    if kind == _EVENT:
        return [_part(lambda: cloudevents.structured(_loaded(body)))]
    if kind in _LINES:
        lines = [line for line in body.split(b"\n") if line.strip()]
        return _some([_line(line) for line in lines[: most + 1]], most)
    value = _loaded(body)
    if kind == _EVENTS:
        if type(value) is not list:
            raise UnreadableError("is no batch of CloudEvents")
        return _some([_part(lambda: cloudevents.structured(each)) for each in value[: most + 1]], most)  # noqa: B023
    if type(value) is list:
        return _some([Part(each) for each in value[: most + 1]], most)
    if not isinstance(value, dict):
        raise UnreadableError("is neither an object nor a list")
    return [Part(value)]


def _kind(headers: Mapping[bytes, bytes]) -> str:
    coding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    given, _, parameters = (
        headers.get(b"content-type", _JSON.encode()).decode("latin-1").lower().partition(";")
    )
    kind = given.strip()
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if kind not in _KINDS or coding != "identity" or charset not in ("", "utf-8", "us-ascii"):
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-type: is not read here; send {', '.join(_KINDS)}, in UTF-8, not compressed",
        )
    return kind


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), object_pairs_hook=fields.unambiguous)
    except UnicodeDecodeError:
        raise UnreadableError("is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"is not JSON from character {error.pos} on" if body else "is empty") from None
    except RecursionError:
        raise UnreadableError("is nested too deeply") from None
    except ValueError:
        raise UnreadableError("holds a number of too many digits") from None


def _line(line: bytes) -> Part:
    try:
        return Part(_loaded(line))
    except UnreadableError as error:
        text = line[:2000].decode("utf-8", "replace")
        return Part(text, BadFieldError("line", str(error).partition(": ")[2].partition(";")[0], "send JSON"))


def _part(read: Callable[[], Any]) -> Part:
    try:
        return Part(read())
    except cloudevents.EnvelopeError as error:
        return Part(error.raw, error)


def _some(parts: Sequence[Part], most: int) -> list[Part]:
    if not parts:
        raise UnreadableError("holds nothing")
    if len(parts) > most:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"body: has more than {most} parts; send fewer at a time"
        )
    return list(parts)
