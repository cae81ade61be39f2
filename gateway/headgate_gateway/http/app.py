"""The ASGI application: answers ``/health`` at once and opens the gateway in the background."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from headgate_core.errors import HeadgateError, Internal, ServiceError
from headgate_core.settings.gateway import GatewaySettings
from headgate_gateway.http.asgi import Receive, Scope, Send, respond, respond_json
from headgate_gateway.http.doors import Doors
from headgate_gateway.http.ending import drain
from headgate_gateway.http.envelope import error_bytes, error_headers
from headgate_gateway.http.logs import set_up_logging
from headgate_gateway.http.readiness import DRAINING, STARTING, ready
from headgate_gateway.reload.reloader import Reloader
from headgate_gateway.reload.source import Source

if TYPE_CHECKING:
    from headgate_gateway.http.endpoints import Endpoints

log = logging.getLogger("headgate.http")

AGAIN_S = 1.0
"""How often a worker that waits for files that can be served tries them."""


class Starting(ServiceError):
    """The gateway is not open yet."""

    status = 503
    code = "starting"


class App:
    """One process's application; it tells when the gateway is open, or why it cannot be.

    While ``patient()`` is true, what cannot be opened is tried again instead, and nothing is
    listened to meanwhile. ``tell`` has all workers of the server read the configuration again.
    """

    def __init__(
        self,
        source: Source,
        on_failure: Callable[[Exception], None],
        on_ready: Callable[[], None] = lambda: None,
        *,
        patient: Callable[[], bool] = lambda: False,
        doors: Doors = Doors(),  # noqa: B008 - frozen
        tell: Callable[[], None] | None = None,
    ) -> None:
        self._source = source
        self._on_failure = on_failure
        self._on_ready = on_ready
        self._patient = patient
        self._doors = doors
        self._tell = tell
        self._opening: asyncio.Task[Endpoints] | None = None
        self._behind: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()
        self._stopped = asyncio.Event()
        self._hurry = asyncio.Event()
        self._ending = False
        self._reloader: Reloader | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = str(scope["method"]), str(scope["path"])
        try:
            if path == "/health":
                await respond_json(send, 200, {"status": "ok"})
            elif path == "/ready":
                await self._ready(scope, send)
            else:
                endpoints = await self._endpoints()
                await endpoints(scope, receive, send)
        except HeadgateError as error:
            await respond(send, error.http_status, error_bytes(error), error_headers(error))
        except asyncio.CancelledError:
            if not self._ending:
                raise
            # Its client reads nothing, so there is no last word; uvicorn closes the connection.
            log.warning("%s %s was cut off while it waited for its client", method, path)
        except Exception:  # the last border: never a traceback to the client
            log.exception("%s %s failed", method, path)
            fault = Internal("An internal error occurred; the log holds the details.")
            await respond(send, 500, error_bytes(fault))

    async def _ready(self, scope: Scope, send: Send) -> None:
        endpoints = self._opened_endpoints()
        if self._ending:
            await respond_json(send, 503, DRAINING, {"retry-after": "1"})
        elif endpoints is None:
            await respond_json(send, 503, STARTING, {"retry-after": "1"})
        else:
            await ready(endpoints.gateway, scope, send)

    async def _endpoints(self) -> Endpoints:
        if self._opening is None:
            raise Starting("The gateway has not been started.")
        return await asyncio.shield(self._opening)

    async def _again(self) -> HeadgateError | None:
        if self._reloader is None:
            raise Starting("The gateway is not open yet.")
        return await self._reloader.again()

    def _opened_endpoints(self) -> Endpoints | None:
        task = self._opening
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        return task.result()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._loop = asyncio.get_running_loop()
                _on_hup(lambda: self._later(self._asked))
                self._opening = asyncio.ensure_future(self._open())
                self._opening.add_done_callback(self._opened)
                if self._patient():
                    await self._opened_or_stopped(self._opening)
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _opened_or_stopped(self, opening: asyncio.Task[Endpoints]) -> None:
        stopped = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    async def _open(self) -> Endpoints:
        """Import and build in threads, so that the loop answers ``/health`` meanwhile."""
        module = await asyncio.to_thread(importlib.import_module, "headgate_gateway.http.endpoints")
        said = ""
        while True:
            try:
                settings = self._source.settings or await asyncio.to_thread(self._source.load)
                endpoints: Endpoints = await module.Endpoints.open(
                    settings, self._doors, self._again
                )
                return endpoints
            except Exception as error:  # also a plugin's fault: the other workers serve meanwhile
                if not self._patient():
                    raise
                fault = _said(error)
                if fault != said:
                    said = fault
                    told = "worker %d waits for what it can serve: %s"
                    log.error(told, os.getpid(), said, exc_info=_unexpected(error))
                self._source.settings = None
                await asyncio.sleep(AGAIN_S)

    def _opened(self, task: asyncio.Task[Endpoints]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._on_failure(error)
        elif error is None:
            gateway = task.result().gateway
            reloader = Reloader(gateway, self._source, self._asked, _loaded, self._tell)
            self._reloader = reloader
            log.info("worker %d serves configuration %s", os.getpid(), gateway.settings.hash)
            for work in (gateway.warm(), reloader.run()):
                task_behind = asyncio.ensure_future(work)
                task_behind.add_done_callback(_report)
                self._behind.append(task_behind)
            self._on_ready()

    def stop(self, *, hurry: bool) -> None:
        """The process is told to end; ``hurry``: at once. May be called by a signal's handler."""
        self._ending = True
        endpoints = self._opened_endpoints()
        if endpoints is not None:
            endpoints.gateway.draining = True
        self._later(self._stopped)
        if hurry:
            self._later(self._hurry)

    def _later(self, event: asyncio.Event) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(event.set)

    async def drain(self) -> None:
        """Return once no call is going on, or those that are were cut off."""
        self._ending = True
        endpoints = self._opened_endpoints()
        if endpoints is not None:
            await drain(endpoints.gateway, self._hurry)

    async def _close(self) -> None:
        if self._opening is None:
            return
        if not self._opening.done():
            self._opening.cancel()
            return
        for task in self._behind:
            task.cancel()
        await asyncio.gather(*self._behind, return_exceptions=True)
        endpoints = self._opened_endpoints()
        if endpoints is not None:
            await endpoints.gateway.close()


def _said(error: Exception) -> str:
    return str(error) if _unexpected(error) is None else f"{type(error).__name__}: {error}"


def _unexpected(error: Exception) -> Exception | None:
    """The error if it is none of ours, so that its traceback is of use."""
    return None if isinstance(error, HeadgateError) else error


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        log.critical("work behind the calls has died", exc_info=task.exception())


def _loaded(settings: GatewaySettings) -> None:
    set_up_logging(settings.server.log)


def _on_hup(act: Callable[[], None]) -> None:
    """Do this at SIGHUP, the first time for one that has come already."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda number, frame: act())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
