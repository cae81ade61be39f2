"""The ASGI application: a table of endpoints, nothing between it and the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from headgate_core.errors import HeadgateError, Internal, NotFound, RequestError, ServiceError
from headgate_core.settings.gateway import GatewaySettings
from headgate_gateway.build import Gateway
from headgate_gateway.http import handlers
from headgate_gateway.http.asgi import Receive, Scope, Send, respond
from headgate_gateway.http.chat import chat_completions
from headgate_gateway.http.envelope import error_bytes, error_headers

log = logging.getLogger("headgate.http")

_UNSERVED = (
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/rerank",
    "/v1/moderations",
    "/v1/files",
    "/v1/vector_stores",
    "/v1/audio",
    "/v1/images",
    "/v1/batches",
)


class MethodNotAllowed(RequestError):
    """The path is served, but not for this method."""

    status = 405
    code = "method_not_allowed"


class Starting(ServiceError):
    """The gateway is not open yet."""

    status = 503
    code = "starting"


class App:
    """Opens the gateway in the background, so that ``/health`` answers at once."""

    def __init__(self, settings: GatewaySettings, on_failure: Callable[[Exception], None]) -> None:
        self._settings = settings
        self._on_failure = on_failure
        self._opening: asyncio.Task[Gateway] | None = None
        self._warming: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        try:
            if path == "/health":
                await handlers.health(send)
            elif path == "/ready":
                await handlers.ready(self._open_gateway(), send)
            elif path == "/v1/chat/completions":
                _only(scope, "POST")
                await chat_completions(await self._gateway(), scope, receive, send)
            else:
                await self._other(path, scope, send)
        except HeadgateError as error:
            await respond(send, error.http_status, error_bytes(error), error_headers(error))
        except Exception:
            log.exception("%s %s failed", scope["method"], path)
            fault = Internal("An internal error occurred; the log holds the details.")
            await respond(send, 500, error_bytes(fault))

    async def _other(self, path: str, scope: Scope, send: Send) -> None:
        routes: dict[str, Callable[[Gateway], Awaitable[None]]] = {
            "/v1/models": lambda gateway: handlers.models(gateway, scope, send),
        }
        if path.startswith("/v1/calls/"):
            call_id = path.removeprefix("/v1/calls/")
            routes[path] = lambda gateway: handlers.own_call(gateway, scope, send, call_id)
        if path in routes:
            _only(scope, "GET")
            await routes[path](await self._gateway())
            return
        if path.startswith(_UNSERVED):
            raise NotFound(
                f"{path} is not served by this version of Headgate.", code="endpoint_not_served"
            )
        raise NotFound(f"There is no {path} here.", code="unknown_path")

    async def _gateway(self) -> Gateway:
        if self._opening is None:
            raise Starting("The gateway has not been started.")
        return await asyncio.shield(self._opening)

    def _open_gateway(self) -> Gateway | None:
        task = self._opening
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        return task.result()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._opening = asyncio.ensure_future(Gateway.open(self._settings))
                self._opening.add_done_callback(self._opened)
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _opened(self, task: asyncio.Task[Gateway]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._on_failure(error)
        elif error is None:
            self._warming = asyncio.ensure_future(task.result().warm())

    async def _close(self) -> None:
        if self._opening is None:
            return
        if not self._opening.done():
            self._opening.cancel()
            return
        if self._warming is not None:
            self._warming.cancel()
        gateway = self._open_gateway()
        if gateway is not None:
            await gateway.close()


def _only(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise MethodNotAllowed(f"{scope['path']} takes {method}, not {scope['method']}.")
