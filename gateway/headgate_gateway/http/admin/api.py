"""The admin API as a FastAPI application; errors come in the same envelope as everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from headgate_core.errors import HeadgateError, InvalidRequest, NotFound
from headgate_gateway.http.admin import deployment, targets
from headgate_gateway.http.asgi import MethodNotAllowed
from headgate_gateway.http.envelope import envelope, error_headers
from headgate_gateway.reload.reloader import Again

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway

ROUTERS: tuple[Callable[[Gateway, Again], APIRouter], ...] = (
    deployment.router,
    targets.router,
)


class _Api(FastAPI):
    """Leaves what nobody expected to the border above, which logs it and answers."""

    def build_middleware_stack(self) -> ASGIApp:
        stack: Any = super().build_middleware_stack()
        inner: ASGIApp = stack.app
        return inner


def api_of(gateway: Gateway, again: Again) -> FastAPI:
    """All routers below ``/admin``. ``/admin/openapi.json`` describes them."""
    # The pages that FastAPI offers for reading it load their scripts from elsewhere.
    api = _Api(
        title="Headgate admin API", openapi_url="/admin/openapi.json", docs_url=None, redoc_url=None
    )
    for router in ROUTERS:
        api.include_router(router(gateway, again), prefix="/admin")
    api.add_exception_handler(HeadgateError, _headgate)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    return api


async def _headgate(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadgateError)
    return JSONResponse(envelope(error), error.http_status, error_headers(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    member = ".".join(str(part) for part in first["loc"] if part != "body")
    said = f"{member or 'The body'}: {first['msg']}."
    return await _headgate(request, InvalidRequest(said, param=member or None))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        said = f"{path} does not take {request.method}."
        return await _headgate(request, MethodNotAllowed(said))
    if error.status_code == 404:
        return await _headgate(request, NotFound(f"There is no {path} here.", code="unknown_path"))
    return await _headgate(request, InvalidRequest(f"The body cannot be read: {error.detail}."))
