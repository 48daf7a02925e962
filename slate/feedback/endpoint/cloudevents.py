"""CloudEvents 1.0 (cloudevents.io): the envelope fills in what its data leaves out.

``data`` is an event as it would be sent alone. ``event_id`` is by default ``<source>#<id>``, which must be
unique, ``timestamp`` is ``time``, and ``event`` what follows ``slate.`` in ``type``.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from slate.feedback.endpoint import fields
from slate.feedback.endpoint.refusal import BadFieldError, shown

_VERSION: Final = "1.0"
_PREFIX: Final = "slate."
_NEEDED: Final = ("id", "source", "type")
_JSON: Final = ("application/json", "text/json")


class EnvelopeError(BadFieldError):
    """The envelope cannot be used; ``raw`` is what came."""

    def __init__(self, raw: object, field: str, problem: str, advice: str) -> None:
        super().__init__(field, problem, advice)
        self.raw = raw


def structured(envelope: object) -> Any:
    """The event within a CloudEvent in JSON.

    Raises:
        EnvelopeError: it is no CloudEvent 1.0, or its data is no JSON object.
    """
    if isinstance(envelope, fields.Repeated):
        raise EnvelopeError(envelope, shown(envelope.name)[1:-1], "stands twice", "send each attribute once")
    if type(envelope) is not dict:
        raise EnvelopeError(envelope, "cloudevent", "is not an object", "send a CloudEvent 1.0")
    kind = envelope.get("datacontenttype", _JSON[0])
    if not isinstance(kind, str) or kind.partition(";")[0].strip().lower() not in _JSON:
        raise EnvelopeError(envelope, "datacontenttype", f"{shown(kind)} is not read", f"send {_JSON[0]}")
    data = _decoded(envelope) if "data_base64" in envelope else envelope.get("data")
    return _filled(envelope, data, envelope)


def binary(headers: Mapping[bytes, bytes], data: object) -> Any:
    """The event of a request that is a CloudEvent by its ``ce-`` headers.

    Raises:
        EnvelopeError: see :func:`structured`.
    """
    attributes = {
        name[3:].decode("latin-1"): unquote(value.decode("latin-1"))
        for name, value in headers.items()
        if name.startswith(b"ce-")
    }
    return _filled(attributes, data, data)


def _filled(attributes: Mapping[str, Any], data: object, raw: object) -> Any:
    if attributes.get("specversion") != _VERSION:
        version = shown(attributes.get("specversion"))
        raise EnvelopeError(raw, "specversion", f"{version} is not read", f"send {_VERSION}")
    for name in _NEEDED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise EnvelopeError(raw, name, "is missing", "a CloudEvent has id, source, specversion and type")
    if type(data) is not dict:
        if isinstance(data, fields.Repeated):
            return data
        raise EnvelopeError(raw, "data", f"{shown(data)} is not an object", "send the event as data")
    event = {"event_id": f"{attributes['source']}#{attributes['id']}", **data}
    if event.get("timestamp") is None and attributes.get("time") is not None:
        event["timestamp"] = attributes["time"]
    if event.get("event") is None and attributes["type"].startswith(_PREFIX):
        event["event"] = attributes["type"].removeprefix(_PREFIX)
    return event


def _decoded(envelope: Mapping[str, Any]) -> Any:
    if "data" in envelope:
        raise EnvelopeError(envelope, "data_base64", "stands beside data", "send one of them")
    try:
        text = base64.b64decode(envelope["data_base64"], validate=True)
        return json.loads(text, object_pairs_hook=fields.unambiguous)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise EnvelopeError(
            envelope, "data_base64", "is no JSON in base64", "send the event as data"
        ) from None
