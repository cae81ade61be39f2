"""The ASGI application: answers ``/health`` at once and opens the gateway in the background."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from headgate_core.errors import HeadgateError, Internal, ServiceError
from headgate_core.settings.gateway import GatewaySettings
from headgate_gateway.http.asgi import Receive, Scope, Send, respond, respond_json
from headgate_gateway.http.envelope import error_bytes, error_headers

if TYPE_CHECKING:
    from headgate_gateway.http.endpoints import Endpoints

log = logging.getLogger("headgate.http")


class Starting(ServiceError):
    """The gateway is not open yet."""

    status = 503
    code = "starting"


class App:
    """One process's application; it tells when the gateway is open, or why it cannot be."""

    def __init__(
        self,
        settings: GatewaySettings,
        on_failure: Callable[[Exception], None],
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._on_failure = on_failure
        self._on_ready = on_ready
        self._opening: asyncio.Task[Endpoints] | None = None
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
                await respond_json(send, 200, {"status": "ok"})
            elif path == "/ready":
                await self._ready(send)
            else:
                endpoints = await self._endpoints()
                await endpoints(scope, receive, send)
        except HeadgateError as error:
            await respond(send, error.http_status, error_bytes(error), error_headers(error))
        except Exception:  # the last border: never a traceback to the client
            log.exception("%s %s failed", scope["method"], path)
            fault = Internal("An internal error occurred; the log holds the details.")
            await respond(send, 500, error_bytes(fault))

    async def _ready(self, send: Send) -> None:
        """Configuration, schema and store are in order; a provider's outage is no reason."""
        endpoints = self._opened_endpoints()
        if endpoints is None:
            await respond_json(send, 503, {"status": "starting"}, {"retry-after": "1"})
            return
        await asyncio.to_thread(endpoints.gateway.store.ping)
        shown = ("pool", "target", "state", "probe")
        targets = [{k: row[k] for k in shown} for row in endpoints.gateway.targets()]
        body = {"status": "ready", "config": self._settings.hash, "targets": targets}
        await respond_json(send, 200, body)

    async def _endpoints(self) -> Endpoints:
        if self._opening is None:
            raise Starting("The gateway has not been started.")
        return await asyncio.shield(self._opening)

    def _opened_endpoints(self) -> Endpoints | None:
        task = self._opening
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        return task.result()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._opening = asyncio.ensure_future(self._open())
                self._opening.add_done_callback(self._opened)
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _open(self) -> Endpoints:
        """Import and build in threads, so that the loop answers ``/health`` meanwhile."""
        module = await asyncio.to_thread(importlib.import_module, "headgate_gateway.http.endpoints")
        endpoints: Endpoints = await module.Endpoints.open(self._settings)
        return endpoints

    def _opened(self, task: asyncio.Task[Endpoints]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._on_failure(error)
        elif error is None:
            self._warming = asyncio.ensure_future(task.result().gateway.warm())
            self._on_ready()

    async def _close(self) -> None:
        if self._opening is None:
            return
        if not self._opening.done():
            self._opening.cancel()
            return
        if self._warming is not None:
            self._warming.cancel()
        endpoints = self._opened_endpoints()
        if endpoints is not None:
            await endpoints.gateway.close()
