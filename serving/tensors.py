"""The Open Inference Protocol's tensors: from JSON, appended binary data or gRPC, and back.

Shapes and encodings are those of KServe's "Open Inference Protocol" (V2) and its binary tensor data
extension: BYTES elements follow their length, 4 bytes little-endian; binary data follows the JSON, whose
length the header ``inference-header-content-length`` gives.
"""

import math
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from serving.parse import load_json
from serving.refusal import InputError, shown

JSON_LENGTH_HEADER: Final = "inference-header-content-length"

_ADVICE: Final = 'send {"inputs": [{"name", "shape", "datatype", "data"}]}'
_DTYPES: Final = {"FP32": "<f4", "INT32": "<i4", "BOOL": "?"}
_MOST: Final = 1_000_000


@dataclass(frozen=True)
class Tensor:
    """A tensor with its elements in row-major order."""

    name: str
    datatype: str
    shape: Sequence[int]
    data: Sequence[Any]


@dataclass(frozen=True)
class Wanted:
    """An output that was asked for; ``binary`` is None where the whole request decides."""

    name: str
    binary: bool | None = None


@dataclass(frozen=True)
class Inference:
    """A V2 request. ``outputs`` is None where all are wanted."""

    id: str
    inputs: Mapping[str, Tensor]
    parameters: Mapping[str, object]
    outputs: Sequence[Wanted] | None = None
    binary: bool = False


def from_body(body: bytes, json_length: str | None) -> Inference:
    """Read a request's body, whose first ``json_length`` bytes are JSON.

    Raises:
        InputError: it is not as the protocol says.
    """
    length = _json_length(json_length, len(body))
    raw = load_json(body[:length], advice=_ADVICE)
    given = _mapping(raw, "body")
    inputs = given.get("inputs")
    if not isinstance(inputs, list):
        raise InputError("inputs", "is missing" if inputs is None else "is not a list", _ADVICE)
    at = length
    tensors = []
    for place, each in enumerate(inputs):
        tensor, at = _input(_mapping(each, f"inputs[{place}]"), f"inputs[{place}]", body, at)
        tensors.append(tensor)
    if at != len(body):
        raise InputError("body", f"{len(body) - at} bytes belong to no input", "send binary_data_size")
    parameters = _parameters(given.get("parameters"), "parameters")
    return Inference(
        _request_id(given.get("id")),
        named(tensors),
        {name: value for name, value in parameters.items() if name != "binary_data_output"},
        _wanted(given.get("outputs")),
        parameters.get("binary_data_output") is True,
    )


def named(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Inputs by name; a name may be used once."""
    found: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise InputError(f"inputs.{tensor.name[:64]}", "is given twice", "send every input once")
        found[tensor.name] = tensor
    return found


def check_shape(tensor: Tensor) -> Tensor:
    """Refuse a tensor whose shape and elements do not fit."""
    shape = tensor.shape
    valid = isinstance(shape, list) and all(type(size) is int and 0 <= size <= _MOST for size in shape)
    if not valid or math.prod(shape) != len(tensor.data):
        raise InputError(
            f"inputs.{tensor.name[:64]}.shape",
            f"{shown(shape)} does not fit {len(tensor.data)} elements",
            "send a shape whose product is their number",
        )
    return tensor


def flat(data: Sequence[Any], path: str) -> Sequence[Any]:
    """The elements of a tensor whose rows may be lists; all are, or none is."""
    rows = [isinstance(part, list) for part in data]
    if not any(rows):
        return data
    if not all(rows):
        raise InputError(f"{path}.data", "mixes rows and elements", "send one list, or one a row")
    return [element for part in data for element in part]


def split_bytes(raw: bytes, path: str) -> list[bytes]:
    """The elements of a BYTES tensor in its binary form."""
    elements, at = [], 0
    while at < len(raw):
        start = at + 4
        end = start + int.from_bytes(raw[at:start], "little")
        if end > len(raw):
            raise InputError(path, "the binary data ends within an element", "send length and bytes of each")
        elements.append(raw[start:end])
        at = end
    return elements


def choose(outputs: Sequence[Tensor], wanted: Sequence[Wanted] | None) -> Sequence[Tensor]:
    """The outputs asked for, in the order asked.

    Raises:
        InputError: there is no such output.
    """
    if wanted is None:
        return outputs
    by_name = {output.name: output for output in outputs}
    for each in wanted:
        if each.name not in by_name:
            raise InputError(
                "outputs", f"{shown(each.name)} is not an output", f"the outputs are {', '.join(by_name)}"
            )
    return [by_name[each.name] for each in wanted]


def to_body(
    model: str, inference: Inference, outputs: Sequence[Tensor], parameters: Mapping[str, str]
) -> tuple[bytes, int | None]:
    """A response's body, and the length of its JSON if binary data follows."""
    chosen = choose(outputs, inference.outputs)
    binary = [inference.binary] * len(chosen)
    if inference.outputs is not None:
        binary = [bool(each.binary) for each in inference.outputs]
    described: list[dict[str, Any]] = []
    tails: list[bytes] = []
    for output, raw in zip(chosen, binary, strict=True):
        entry: dict[str, Any] = {"name": output.name, "shape": output.shape, "datatype": output.datatype}
        if raw:
            tails.append(to_binary(output))
            entry["parameters"] = {"binary_data_size": len(tails[-1])}
        else:
            entry["data"] = output.data
        described.append(entry)
    if not tails:
        return _plain_body(model, inference.id, described, parameters), None
    head = orjson.dumps(
        {
            "id": inference.id,
            "model_name": model,
            "model_version": None,
            "outputs": described,
            "parameters": parameters,
        }
    )
    return b"".join([head, *tails]), len(head)


def to_binary(tensor: Tensor) -> bytes:
    """A tensor's elements in binary form."""
    if tensor.datatype == "BYTES":
        encoded = [text.encode() for text in tensor.data]
        return b"".join(part for each in encoded for part in (struct.pack("<I", len(each)), each))
    return np.asarray(tensor.data, dtype=_DTYPES[tensor.datatype]).tobytes()


def new_id() -> str:
    """An id for a request that came without."""
    return str(uuid.uuid4())


def _plain_body(
    model: str, request_id: str, described: Sequence[Mapping[str, Any]], parameters: Mapping[str, str]
) -> bytes:
    """JSON alone, laid out as KServe's response model does."""
    outputs = [
        {key: each.get(key) for key in ("name", "shape", "datatype", "parameters", "data")}
        for each in described
    ]
    return orjson.dumps(
        {
            "model_name": model,
            "model_version": None,
            "id": request_id,
            "parameters": parameters,
            "outputs": outputs,
        }
    )


def _input(given: Mapping[str, Any], path: str, body: bytes, at: int) -> tuple[Tensor, int]:
    name, datatype = given.get("name"), given.get("datatype")
    for field, value in (("name", name), ("datatype", datatype)):
        if not isinstance(value, str):
            raise InputError(f"{path}.{field}", f"{shown(value)} is not text", _ADVICE)
    parameters = _parameters(given.get("parameters"), f"{path}.parameters")
    data, size = given.get("data"), parameters.get("binary_data_size")
    if data is None and size is not None:
        if type(size) is not int or not 0 <= size <= len(body) - at:
            raise InputError(
                f"{path}.parameters.binary_data_size",
                f"{shown(size)} where {len(body) - at} bytes follow",
                "send the number of bytes of this input",
            )
        data, at = split_bytes(body[at : at + size], path), at + size
    elif not isinstance(data, list):
        raise InputError(f"{path}.data", "is missing" if data is None else "is not a list", _ADVICE)
    return check_shape(Tensor(str(name), str(datatype), given.get("shape") or [], flat(data, path))), at


def _wanted(given: object) -> Sequence[Wanted] | None:
    if not given:
        return None
    if not isinstance(given, list):
        raise InputError("outputs", "is not a list", 'send [{"name": ...}], or leave it out')
    wanted = []
    for place, each in enumerate(given):
        entry = _mapping(each, f"outputs[{place}]")
        if not isinstance(entry.get("name"), str):
            raise InputError(f"outputs[{place}].name", "is not text", 'send [{"name": ...}]')
        binary = _parameters(entry.get("parameters"), f"outputs[{place}].parameters").get("binary_data")
        wanted.append(Wanted(entry["name"], binary if isinstance(binary, bool) else None))
    return wanted


def _parameters(given: object, path: str) -> Mapping[str, Any]:
    return {} if given is None else _mapping(given, path)


def _mapping(given: object, path: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise InputError(path, f"{shown(given)} is not an object", _ADVICE)
    return given


def _request_id(given: object) -> str:
    if given is None or given == "":
        return new_id()
    if not isinstance(given, str):
        raise InputError("id", f"{shown(given)} is not text", "send text, or leave it out")
    return given


def _json_length(given: str | None, total: int) -> int:
    if given is None:
        return total
    if not (given.isascii() and given.isdigit() and len(given) < 12 and int(given) <= total):
        raise InputError(
            JSON_LENGTH_HEADER, f"{shown(given)} for a body of {total} bytes", "send the length of the JSON"
        )
    return int(given)
