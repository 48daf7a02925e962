"""The OpenAPI document of the model server: every address, body and error, within the configured limits."""

from typing import Any, Final

from serving.fields import MAX_ID_BYTES
from serving.parse import USER_HEADER
from serving.service import RANKER, RECOMMENDER
from serving.tensors import JSON_LENGTH_HEADER
from slate import __version__
from slate.config import ServingConfig
from slate.recommend.online.ladder import RUNGS

Json = dict[str, Any]

_MODELS: Final = (RECOMMENDER, RANKER)
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_FLAG: Final = {"type": "boolean"}
_SIZES: Final = {"type": "array", "items": {"type": "integer"}}
_INSTANT: Final = {"type": "string", "format": "date-time", "description": "RFC 3339, with a time zone."}
_ERRORS: Final = {
    400: ("What was sent cannot be understood.", "instances[0].k: 0 is below 1; send 1 to 1000"),
    413: ("The body is too large.", "body: has 10000032 bytes; send at most 4194304"),
    429: ("Too much is asked at once.", "64 requests are held already; ask again later"),
    500: ("A fault of the server.", "server: unexpected error 0a1b2c3d4e5f; the server's log tells more"),
    503: ("The server is not ready, or goes down.", "the server is going down; ask another one"),
}


def document(config: ServingConfig) -> Json:
    """The document, OpenAPI 3.1, as plain JSON types."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Slate model server",
            "version": __version__,
            "description": "KServe's protocols V1 and V2 (Open Inference Protocol) over two models.",
        },
        "paths": {
            "/": _get("Alive", _object({"status": {"const": "alive"}})),
            "/metrics": _metrics(),
            "/v1/models": _get("Models", _object({"models": _list(_TEXT)})),
            "/v2": _get("Server", _object({"name": _TEXT, "version": _TEXT, "extensions": _list(_TEXT)})),
            "/v2/health/live": _get("Alive", _object({"live": {"const": True}})),
            "/v2/health/ready": _get("Ready for requests", _object({"ready": {"const": True}}), 503),
            "/v2/models": _get("Models", _object({"models": _list(_TEXT)})),
            **{path: each for name in _MODELS for path, each in _probes(name).items()},
            f"/v1/models/{RECOMMENDER}:predict": _post(
                "Recommend", "SlateInstances", "Slates", {"instances": [{"user_id": "42", "k": 10}]}
            ),
            f"/v1/models/{RANKER}:predict": _post(
                "Score items", "ScoreInstances", "Scores", {"instances": [{"item_ids": ["50", "181"]}]}
            ),
            f"/v2/models/{RECOMMENDER}/infer": _infer(
                "Recommend", "SlateInference", [{**_bytes("user_id", [1]), "data": ["42"]}]
            ),
            f"/v2/models/{RANKER}/infer": _infer(
                "Score items", "ScoreInference", [{**_bytes("item_id", [1, 2]), "data": [["50", "181"]]}]
            ),
        },
        "components": {"schemas": _schemas(config)},
    }


def _schemas(config: ServingConfig) -> Json:
    identifier = {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES}
    instance = {
        "user_id": _maybe(identifier),
        "history": _maybe(_list({"anyOf": [identifier, _ref("Interaction")]}, most=config.max_history)),
        "context": _maybe(_ref("Context")),
    }
    slate = {
        **instance,
        "k": _maybe({"type": "integer", "minimum": 1, "maximum": config.max_k}),
        "exclude": _maybe(_list(identifier, most=config.max_items)),
        "explain": _maybe(_FLAG),
        "deadline_ms": _maybe({"type": "number", "exclusiveMinimum": 0}),
    }
    score = {**instance, "item_ids": _list(identifier, least=1, most=config.max_items)}
    options = {"k": slate["k"], "deadline_ms": slate["deadline_ms"], "exclude": _json_text("exclude")}
    shared = {"history": _json_text("history"), "context": _json_text("context")}
    return {
        "Error": {**_object({"error": _TEXT}), "description": "<field>: <problem>; <what to do>"},
        "Interaction": _closed({"item_id": identifier, "event": identifier, "timestamp": _INSTANT}),
        "Context": {
            "type": "object",
            "description": "Context features by name; timestamp is the instant of the request.",
            "properties": {"timestamp": _maybe(_INSTANT)},
            "additionalProperties": {"anyOf": [*_scalars(), _list({"anyOf": _scalars()})]},
        },
        "SlateInstances": _instances(_closed(slate, required=()), config.max_instances),
        "ScoreInstances": _instances(_closed(score, required=("item_ids",)), config.max_instances),
        "Item": _closed(
            {
                "item_id": _TEXT,
                "score": _NUMBER,
                "position": {"type": "integer", "minimum": 1},
                "source": _TEXT,
                "propensity": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            }
        ),
        "Explanation": _closed(
            {
                "sources": _map(_list(_TEXT)),
                "retrieved": _map(_NUMBER),
                "removed": _map(_list(_TEXT)),
                "surplus": _list(_TEXT),
                "scored": _map(_map(_NUMBER)),
                "adjusted": _map(_NUMBER),
                "ignored": _list(_TEXT),
            }
        ),
        "Slate": _closed(
            {
                "user_id": _maybe(_TEXT),
                "items": _list(_ref("Item")),
                "rung": {"enum": list(RUNGS)},
                "release_id": _TEXT,
                "variant": _TEXT,
                "exposure_id": _maybe(_TEXT),
                "explanation": _ref("Explanation"),
            },
            optional=("explanation",),
        ),
        "Slates": _closed({"predictions": _list(_ref("Slate"))}),
        "Scores": _closed({"predictions": _list(_ref("Scored"))}),
        "Scored": _closed(
            {
                "scores": _list(_maybe(_NUMBER)),
                "events": _map(_list(_maybe(_NUMBER))),
                "release_id": _TEXT,
            }
        ),
        "SlateInference": _inference({"user_id"}, {**shared, **options}),
        "ScoreInference": _inference({"item_id", "user_id"}, shared),
        "Inferred": _object(
            {
                "id": _TEXT,
                "model_name": {"enum": list(_MODELS)},
                "model_version": {"type": "null"},
                "parameters": _object({"release_id": _TEXT, "variant": _TEXT}),
                "outputs": _list(
                    _object(
                        {
                            "name": _TEXT,
                            "shape": _SIZES,
                            "datatype": {"enum": ["BYTES", "FP32", "INT32", "BOOL"]},
                            "data": {"type": "array"},
                        },
                        optional=("data",),
                    )
                ),
            }
        ),
        "Model": _object(
            {
                "name": {"enum": list(_MODELS)},
                "versions": {**_list(_TEXT), "description": "The release that answers."},
                "platform": {**_TEXT, "description": "slate_<variant>"},
                "inputs": _list(_object({"name": _TEXT, "datatype": _TEXT, "shape": _SIZES})),
                "outputs": _list(_object({"name": _TEXT, "datatype": _TEXT, "shape": _SIZES})),
            }
        ),
    }


def _inference(names: set[str], parameters: Json) -> Json:
    """A V2 request in JSON; its tensors may also follow as binary data."""
    tensor = _object(
        {
            "name": {"enum": sorted(names)},
            "shape": {**_SIZES, "minItems": 1, "maxItems": 2},
            "datatype": {"const": "BYTES"},
            "data": {"type": "array"},
            "parameters": _object({"binary_data_size": {"type": "integer"}}, required=()),
        },
        optional=("data", "parameters"),
    )
    return _object(
        {
            "id": _maybe(_TEXT),
            "inputs": _list(tensor, least=1),
            "parameters": _maybe(_closed({**parameters, "binary_data_output": _FLAG}, required=())),
            "outputs": _maybe(_list(_object({"name": _TEXT}))),
        },
        required=("inputs",),
    )


def _probes(model: str) -> Json:
    ready = _object({"name": {"const": model}, "ready": {"const": True}})
    return {
        f"/v1/models/{model}": _get("Ready for requests", ready, 503),
        f"/v2/models/{model}/ready": _get("Ready for requests", ready, 503),
        f"/v2/models/{model}": _get("Tensors, release and variant", _ref("Model")),
    }


def _get(summary: str, schema: Json, *errors: int) -> Json:
    answers = {"200": _answer("Yes.", schema), **{str(code): _refusal(code) for code in errors}}
    return {"get": {"summary": summary, "responses": answers}}


def _metrics() -> Json:
    text = {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": _TEXT}}}
    return {"get": {"summary": "Metrics", "responses": {"200": text}}}


def _post(summary: str, asked: str, answered: str, example: Json) -> Json:
    return {
        "post": {
            "summary": summary,
            "parameters": [_header(USER_HEADER, "The user, where the body names nobody.")],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _ref(asked), "example": example}},
            },
            "responses": {
                "200": _answer("In the order of the instances.", _ref(answered)),
                **{str(code): _refusal(code) for code in _ERRORS},
            },
        }
    }


def _infer(summary: str, asked: str, inputs: list[Json]) -> Json:
    described = _post(summary, asked, "Inferred", {"inputs": inputs})
    post = described["post"]
    post["parameters"].append(
        {
            **_header(JSON_LENGTH_HEADER, "Bytes of JSON before binary tensors; absent where none follow."),
            "schema": {"type": "integer", "minimum": 0},
        }
    )
    post["responses"]["200"]["content"]["application/octet-stream"] = {
        "schema": {"type": "string", "format": "binary"}
    }
    return described


def _header(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": _TEXT}


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refusal(code: int) -> Json:
    description, example = _ERRORS[code]
    answer = _answer(description, _ref("Error"))
    answer["content"]["application/json"]["example"] = {"error": example}
    if code in (429, 503):
        answer["headers"] = {"retry-after": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return answer


def _instances(instance: Json, most: int) -> Json:
    return _closed({"instances": _list(instance, least=1, most=most)})


def _object(
    properties: Json, required: tuple[str, ...] | None = None, optional: tuple[str, ...] = ()
) -> Json:
    needed = [name for name in properties if name not in optional] if required is None else list(required)
    return {"type": "object", "properties": properties, "required": needed}


def _closed(
    properties: Json, required: tuple[str, ...] | None = None, optional: tuple[str, ...] = ()
) -> Json:
    return {**_object(properties, required, optional), "additionalProperties": False}


def _list(items: Json, least: int = 0, most: int | None = None) -> Json:
    bound = {} if most is None else {"maxItems": most}
    return {"type": "array", "items": items, "minItems": least, **bound}


def _map(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _maybe(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _scalars() -> list[Json]:
    return [_TEXT, _NUMBER, _FLAG, {"type": "null"}]


def _bytes(name: str, shape: list[int]) -> Json:
    return {"name": name, "shape": shape, "datatype": "BYTES"}


def _json_text(field: str) -> Json:
    return {"type": "string", "contentMediaType": "application/json", "description": f"{field}, as in V1."}
