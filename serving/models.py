"""KServe's view of the two models: what gRPC calls, and HTTP where the fast path has no answer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import kserve
from kserve.model import InferenceVerb
from kserve.protocol.infer_type import InferInput, InferOutput, InferRequest, InferResponse

from serving.assignment import assignment
from serving.parse import USER_HEADER, header_user, load_json
from serving.refusal import InputError, RefusedError, refusal_of
from serving.service import Service
from serving.state import Answered
from serving.tensors import Inference, Tensor, Wanted, check_shape, choose, flat, named, new_id, split_bytes


class ServedModel(kserve.Model):
    """One of our models, as KServe calls it: read in preprocess, answered in predict."""

    def __init__(self, service: Service, answered: Answered) -> None:
        super().__init__(service.name)
        self._answered = answered
        self._service = service
        # For KServe this says only that the model may be registered; `healthy` is what probes are told.
        self.ready = True

    async def healthy(self) -> bool:
        return bool(self._service.engine.ready)

    def load(self) -> bool:
        """Nothing to do: the engine loads releases by itself."""
        return bool(self._service.engine.ready)

    def get_input_types(self) -> list[dict[str, Any]]:
        return [each.to_dict() for each in self._service.inputs]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [each.to_dict() for each in self._service.outputs]

    async def __call__(
        self, body: Any, headers: Mapping[str, str] | None = None, verb: InferenceVerb = InferenceVerb.PREDICT
    ) -> Any:
        try:
            answer = await super().__call__(body, headers, verb)
        except Exception as error:
            refusal = refusal_of(error)
            self._answered(self.name, refusal.status)
            raise RefusedError(refusal) from error
        self._answered(self.name, HTTPStatus.OK)
        return answer

    async def preprocess(self, payload: Any, headers: Mapping[str, str] | None = None) -> Any:
        user, assigned = _user(headers or {}), assignment((headers or {}).get)
        if isinstance(payload, InferRequest):
            inference = inference_of(payload)
            return payload, inference, self._service.read_tensors(inference, user, assigned)
        body = load_json(payload) if isinstance(payload, bytes) else payload
        return None, None, self._service.read(body, user, assigned)

    async def predict(self, payload: Any, *_: Any) -> Any:
        request, inference, asked = payload
        if request is None:
            return await self._service.answer(asked)
        outputs, parameters = await self._service.answer_tensors(asked)
        return _response(self.name, request, inference, outputs, parameters)


def inference_of(request: InferRequest) -> Inference:
    """A V2 request as KServe read it, in our terms.

    Raises:
        InputError: its binary data or shapes do not fit.
    """
    parameters = _plain(request.parameters)
    return Inference(
        request.id or new_id(),
        named([_tensor(each) for each in request.inputs]),
        {name: value for name, value in parameters.items() if name != "binary_data_output"},
        [Wanted(each.name) for each in request.request_outputs] if request.request_outputs else None,
    )


def _tensor(given: InferInput) -> Tensor:
    raw = given._raw_data
    data = split_bytes(raw, f"inputs.{given.name}") if raw is not None else list(given.data or [])
    elements = flat(data, f"inputs.{given.name}")
    return check_shape(Tensor(given.name, given.datatype, list(given.shape), elements))


def _response(
    name: str,
    request: InferRequest,
    inference: Inference,
    outputs: list[Tensor],
    parameters: Mapping[str, str],
) -> InferResponse:
    # KServe's gRPC sends every output: the choice is made here.
    chosen = choose(outputs, inference.outputs)
    return InferResponse(
        inference.id,
        name,
        [InferOutput(each.name, list(each.shape), each.datatype, list(each.data)) for each in chosen],
        parameters=dict(parameters),
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def _plain(parameters: Any) -> dict[str, Any]:
    """Request parameters as plain values; those of gRPC wrap them."""
    plain = {}
    for name, value in (parameters or {}).items():
        kind = value.WhichOneof("parameter_choice") if hasattr(value, "WhichOneof") else None
        plain[name] = value if kind is None else getattr(value, kind)
    return plain


def _user(headers: Mapping[str, str]) -> str | None:
    given = headers.get(USER_HEADER)
    try:
        return header_user(given.encode("latin-1") if given else None)
    except UnicodeEncodeError:
        raise InputError(USER_HEADER, "is not UTF-8", "send the user's id in UTF-8") from None
