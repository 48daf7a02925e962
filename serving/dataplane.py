"""KServe's data plane, made to tell the truth about readiness, and to read as the fast path reads."""

from collections.abc import Mapping
from typing import Any

from cloudevents.sdk.converters.util import has_binary_headers
from kserve.constants.constants import PredictorProtocol
from kserve.errors import InvalidInput, ModelNotFound
from kserve.model_repository import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import InferInput, InferRequest, RequestedOutput
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.utils.utils import is_structured_cloudevent

from serving.parse import load_json
from serving.refusal import shown
from serving.service import metadata
from serving.state import State
from serving.tensors import JSON_LENGTH_HEADER, from_body


class Fixed(ModelRepositoryExtension):
    """Models come and go with the server alone: KServe would let anybody unload them over the network."""

    async def load(self, model_name: str) -> None:
        raise InvalidInput(f"{shown(model_name)}: models are not loaded by request; move a channel")

    async def unload(self, model_name: str) -> None:
        raise InvalidInput(f"{shown(model_name)}: models are not unloaded by request; stop the server")


class TruthfulDataPlane(DataPlane):
    """KServe's own always says that the server is ready."""

    def __init__(self, registry: ModelRepository, state: State) -> None:
        super().__init__(model_registry=registry)
        self._state = state

    async def ready(self) -> bool:
        return self._state.ready

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        if self.model_registry.get_model(model_name) is None:
            raise ModelNotFound(model_name)
        # A request is not refused here: the engine says itself, and better, why it cannot answer.
        return disable_predictor_health_check or self._state.ready

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        service = self._state.services.get(model_name)
        if service is None:
            raise ModelNotFound(model_name)
        return metadata(service)

    def decode(
        self,
        body: Any,
        headers: Mapping[str, str],
        protocol_version: str = PredictorProtocol.REST_V1.value,
        model_name: str | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """JSON whatever the content type says (curl sends a form's), events as KServe reads them."""
        v1 = protocol_version.lower() == PredictorProtocol.REST_V1.value
        if not isinstance(body, bytes):
            return super().decode(body, headers, protocol_version, model_name)  # type: ignore[no-any-return]
        if v1 and has_binary_headers(headers):
            return self._event(body, headers)
        if not v1:
            return _infer_request(body, headers, str(model_name)), {}
        parsed = load_json(body)
        if isinstance(parsed, dict) and is_structured_cloudevent(parsed):
            return self.decode_cloudevent(parsed)  # type: ignore[no-any-return]
        return parsed, {}

    def _event(self, body: bytes, headers: Mapping[str, str]) -> tuple[Any, dict[str, Any]]:
        """An event whose attributes are headers and whose data is a V1 body."""
        event = self.get_binary_cloudevent(body, headers)
        data = event.get_data()
        # KServe fails on an event without data.
        parsed = load_json(data or b"") if data is None or isinstance(data, bytes) else data
        return parsed, event._get_attributes()


def _infer_request(body: bytes, headers: Mapping[str, str], model: str) -> InferRequest:
    inference = from_body(body, headers.get(JSON_LENGTH_HEADER))
    return InferRequest(
        model,
        [InferInput(t.name, list(t.shape), t.datatype, list(t.data)) for t in inference.inputs.values()],
        inference.id,
        parameters={**inference.parameters, "binary_data_output": inference.binary},
        request_outputs=None
        if inference.outputs is None
        else [RequestedOutput(each.name, {"binary_data": bool(each.binary)}) for each in inference.outputs],
    )
