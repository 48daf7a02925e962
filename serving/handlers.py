"""KServe's application, answering errors as the fast path does: one table, one shape."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve import errors as kserve_errors
from starlette.exceptions import HTTPException

from serving.refusal import Refusal, RefusedError, refusal_of, shown
from slate.errors import SlateError

_OURS: tuple[type[Exception], ...] = (
    SlateError,
    RefusedError,
    NotImplementedError,
    kserve_errors.InvalidInput,
    kserve_errors.ModelNotFound,
    kserve_errors.ModelNotReady,
    kserve_errors.ServerNotReady,
    kserve_errors.UnsupportedProtocol,
    kserve_errors.InferenceError,
    Exception,
)


def add_handlers(app: FastAPI) -> None:
    """Let ``app`` answer every exception by our table."""
    for kind in _OURS:
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _not_found)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return _response(refusal_of(error))


async def _not_understood(_: Request, error: Any) -> JSONResponse:
    """FastAPI's validation, in our words: the first field that is wrong."""
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"][:6])
    return _response(Refusal(HTTPStatus.BAD_REQUEST, f"{place}: {shown(problem['msg'])}; see /openapi.json"))


async def _not_found(request: Request, error: Any) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    message = f"{shown(request.url.path)}: {error.detail}; see /openapi.json for what is there"
    return JSONResponse({"error": message}, status_code=status, headers=error.headers)


def _response(refusal: Refusal) -> JSONResponse:
    return JSONResponse({"error": refusal.message}, status_code=refusal.status, headers=refusal.headers)
