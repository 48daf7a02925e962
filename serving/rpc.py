"""KServe's gRPC server, refusing as HTTP does: one table, one sentence, and when to ask again."""

from collections.abc import Awaitable, Callable
from concurrent import futures
from http import HTTPStatus
from typing import Any, Final

from grpc import StatusCode, aio
from grpc_interceptor.server import AsyncServerInterceptor
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.grpc.servicer import InferenceServicer

from serving.logs import REQUEST_ID
from serving.refusal import Refusal, refusal_of
from serving.state import State
from serving.tracing import Spans
from slate.errors import ConfigError

_CODES: Final = {
    HTTPStatus.BAD_REQUEST: StatusCode.INVALID_ARGUMENT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: StatusCode.INVALID_ARGUMENT,
    HTTPStatus.TOO_MANY_REQUESTS: StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: StatusCode.UNAVAILABLE,
    HTTPStatus.NOT_FOUND: StatusCode.NOT_FOUND,
}
_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"


class Grpc(GRPCServer):
    """The Open Inference Protocol over gRPC, without a log line a request."""

    def __init__(self, state: State, dataplane: DataPlane, extension: Any, options: dict[str, Any]) -> None:
        config = state.config
        super().__init__(config.grpc_port, dataplane, extension, kwargs=options, grace_period=config.grace_s)
        self._state = state

    async def start(self, max_workers: int) -> None:
        """Serve until stopped.

        Raises:
            ConfigError: somebody else listens on the port.
        """
        self._server = aio.server(
            futures.ThreadPoolExecutor(max_workers=max_workers),
            interceptors=(Answering(self._state.spans),),
            options=[
                # Two servers on one port would share its requests in silence.
                ("grpc.so_reuseport", 0),
                *(
                    (f"grpc.{name}_message_length", self._kwargs.get(f"grpc_{name}_message_length"))
                    for name in ("max_send", "max_receive")
                ),
            ],
        )
        grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceServicer(self._data_plane, self._model_repository_extension), self._server
        )
        try:
            self._server.add_insecure_port(f"[::]:{self._port}")
        except RuntimeError as error:
            raise ConfigError(
                f"serving.grpc_port: {self._port} cannot be listened on; name another port"
            ) from error
        await self._server.start()
        await self._server.wait_for_termination()


class Answering(AsyncServerInterceptor):
    """Turns whatever a method raises into a status, and traces the calls that are answered."""

    def __init__(self, spans: Spans | None) -> None:
        self._spans = spans

    async def intercept(
        self,
        method: Callable[[Any, Any], Awaitable[Any]],
        request_or_iterator: Any,
        context: Any,
        method_name: str,
    ) -> Any:
        metadata = {name: text for name, text in context.invocation_metadata() if isinstance(text, str)}
        if (request := metadata.get("x-request-id")) is not None:
            REQUEST_ID.set(request[:128])
        if self._spans is None or method_name != _INFER:
            return await _answered(method, request_or_iterator, context, {})
        with self._spans.request(method_name.lstrip("/"), request_or_iterator.model_name, metadata) as span:
            answer = await _answered(method, request_or_iterator, context, span.headers)
            # Not before: KServe's servicer fails on a context that has trailing metadata.
            context.set_trailing_metadata(tuple(span.headers.items()))
            return answer


async def _answered(
    method: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any, headers: dict[str, str]
) -> Any:
    try:
        return await method(request, context)
    except aio.AbortError:
        raise
    except Exception as error:
        refusal = refusal_of(error)
        trailing = tuple({**headers, **refusal.headers}.items())
        return await context.abort(code_of(refusal), refusal.message, trailing)


def code_of(refusal: Refusal) -> StatusCode:
    """The gRPC status of a refusal."""
    return _CODES.get(refusal.status, StatusCode.INTERNAL)
