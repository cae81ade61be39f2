"""Running the application under uvicorn: one process, or several behind one socket."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn

from headgate_core.errors import ConfigurationError, HeadgateError
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.server import ServerSettings
from headgate_gateway.http.app import App
from headgate_gateway.http.doors import Doors
from headgate_gateway.http.draining import DrainingServer
from headgate_gateway.http.ending import LAST_S
from headgate_gateway.http.example import first_call
from headgate_gateway.http.logs import set_up_logging
from headgate_gateway.http.overrides import source_of
from headgate_gateway.http.workers import WorkerApp, Workers
from headgate_gateway.reload.source import Source

log = logging.getLogger("headgate.server")


def run_server(path: Path, overrides: Mapping[str, Any], *, example: bool = False) -> int:
    """Serve until told to stop; returns the exit code. Raises ``ConfigurationError``.

    ``overrides`` stand over members of ``server``; ``example``: once ready, print a first call.
    """
    # Until somebody listens for it, a signal to reload waits instead of ending the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    source = source_of(path, overrides)
    settings = source.load()
    set_up_logging(settings.server.log)
    listeners, doors = _listeners(settings.server)
    if settings.server.workers == 1:
        return _one(source, settings, listeners, doors, example=example)
    app = WorkerApp.of(path, overrides, settings.server.log, doors)
    return _several(app, settings, listeners)


def _listeners(server: ServerSettings) -> tuple[list[socket.socket], Doors]:
    """For calls, and for the admin API where it has an address of its own."""
    listeners = [_bind(server.host, server.port)]
    log.info("listening on http://%s:%d", server.host, _port(listeners[0]))
    if server.admin is None:
        return listeners, Doors()
    listeners.append(_bind(server.admin.host, server.admin.port))
    port = _port(listeners[1])
    log.info("the admin API listens on http://%s:%d", server.admin.host, port)
    return listeners, Doors(port)


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {error.strerror}. "
            "Stop what uses it, or choose another one: server.port, --port or server.admin.port."
        ) from error
    return listener


def _config(app: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=int(LAST_S),
        **more,
    )


def _one(
    source: Source,
    settings: GatewaySettings,
    listeners: list[socket.socket],
    doors: Doors,
    *,
    example: bool,
) -> int:
    failures: list[Exception] = []

    def failed(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    def ready() -> None:
        if example:
            print(first_call(settings), flush=True)

    server = DrainingServer(_config(App(source, failed, ready, doors=doors)))
    server.run(sockets=listeners)
    if not failures:
        return 0
    if isinstance(failures[0], HeadgateError):
        print(f"headgate: {failures[0]}", file=sys.stderr)
        return failures[0].exit_code
    log.error("the gateway cannot be opened", exc_info=failures[0])
    return 1


def _several(app: WorkerApp, settings: GatewaySettings, listeners: list[socket.socket]) -> int:
    asyncio.run(_try_out(settings))
    config = _config(app, factory=True, workers=settings.server.workers)
    Workers(config, sockets=listeners).run()
    return 1 if app.failed.is_set() else 0


async def _try_out(settings: GatewaySettings) -> None:
    """Open the gateway once before any worker does: faults show here, with their exit code."""
    from headgate_gateway.build import Gateway

    await (await Gateway.open(settings)).close()
