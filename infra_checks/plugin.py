"""A provider that knows arguments and nothing else, so that Terraform itself can read our modules offline.

`terraform validate`, and `terraform test` with mock providers, need a provider's schema and none of its work.
This speaks as much of Terraform's plugin protocol 6 as that takes, with the schema of
``provider_schema.json``; it can create nothing. Terraform starts it through ``dev_overrides``.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc

from infra_checks.provider import schema

# go-plugin's handshake: its own version, Terraform's, the network, the address, the protocol.
_HANDSHAKE: Final = "1|6|tcp|127.0.0.1:{port}|grpc|"
_LIST: Final = 2
_COMPUTED: Final = {"google_client_config": {"access_token": "string", "project": "string"}}
_PROVIDERS: Final[dict[str, dict[str, Any]]] = {
    "google": {"project": "string", "region": "string", "default_labels": ["map", "string"]},
    "helm": {
        "kubernetes": ["object", {"host": "string", "cluster_ca_certificate": "string", "token": "string"}]
    },
}


def launcher(folder: Path, provider: str) -> Path:
    """Write an executable that Terraform starts as ``provider``; returns it."""
    path = folder / f"terraform-provider-{provider}"
    root = Path(__file__).parents[1]
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\n"
        f"from infra_checks.plugin import main\nmain({provider!r})\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def main(provider: str) -> None:
    """Serve until Terraform says that it is done."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Handler(_provider_schema(provider)),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(_HANDSHAKE.format(port=port), flush=True)
    server.wait_for_termination()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every method that Terraform may call, all but three of them with an empty message."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method.rpartition("/")[2]
        if method == "GetProviderSchema":
            return grpc.unary_unary_rpc_method_handler(lambda *_: self._answer)
        if method.startswith("Validate"):
            return grpc.unary_unary_rpc_method_handler(lambda *_: b"")
        if method == "Check":  # go-plugin asks whether it serves: it does
            return grpc.unary_unary_rpc_method_handler(lambda *_: _number(1, 1))
        if method == "Shutdown":
            return grpc.unary_unary_rpc_method_handler(lambda *_: os._exit(0))
        return None


def _provider_schema(provider: str) -> bytes:
    """tfplugin6.GetProviderSchema.Response."""
    answer = _message(1, _schema(b"".join(_attribute(n, t) for n, t in _PROVIDERS[provider].items())))
    for kind, resource in schema().items():
        if kind.startswith(f"{provider}_"):
            block = _block(resource["arguments"]) + b"".join(
                _attribute(name, _type(node), computed=True, optional=False)
                for name, node in resource["attributes"].items()
            )
            answer += _message(2, _text(1, kind) + _message(2, _schema(block)))
    for kind, attributes in _COMPUTED.items():
        if kind.startswith(f"{provider}_"):
            block = b"".join(_attribute(n, t, computed=True, optional=False) for n, t in attributes.items())
            answer += _message(3, _text(1, kind) + _message(2, _schema(block)))
    return answer


def _schema(block: bytes) -> bytes:
    return _message(2, block)


def _block(arguments: dict[str, Any], *, nested: bool = False) -> bytes:
    """tfplugin6.Schema.Block. In a nested block the cloud may fill in what was left out."""
    body = b""
    for name, node in arguments.items():
        if isinstance(node, dict) and "block" in node:
            inner = _text(1, name) + _message(2, _block(node["block"], nested=True)) + _number(3, _LIST)
            inner += _number(4, 1) if node["required"] else b""
            body += _message(3, inner if node["many"] else inner + _number(5, 1))
        elif isinstance(node, str) and node.endswith("!"):
            body += _attribute(name, _type(node), required=True, optional=False)
        else:
            body += _attribute(name, _type(node), computed=nested)
    return body


def _attribute(
    name: str, kind: Any, *, required: bool = False, optional: bool = True, computed: bool = False
) -> bytes:
    """tfplugin6.Schema.Attribute, as a field of a block."""
    flags = _number(4, required) + _number(5, optional) + _number(6, computed)
    return _message(2, _text(1, name) + _text(2, json.dumps(kind)) + flags)


def _type(node: Any) -> Any:
    """Terraform's JSON form of a type."""
    if isinstance(node, str):
        plain = node.removesuffix("!")
        outer, _, inner = plain.removesuffix(")").partition("(")
        return [outer, inner] if inner else plain
    fields = node.get("block", node.get("object"))
    return ["list", ["object", {name: _type(each) for name, each in fields.items()}]]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(int(value)) if value else b""


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())
