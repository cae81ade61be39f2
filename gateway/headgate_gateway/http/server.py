"""Running the application under uvicorn: one process, or several behind one socket."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

import uvicorn
from pydantic import ValidationError

from headgate_core.errors import ConfigurationError, HeadgateError
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.load import load_settings
from headgate_gateway.http.app import App
from headgate_gateway.http.example import first_call
from headgate_gateway.http.logs import set_up_logging
from headgate_gateway.http.peer import is_loopback

log = logging.getLogger("headgate.server")


def run_server(
    settings: GatewaySettings, overrides: dict[str, Any], *, example: bool = False
) -> int:
    """Serve until told to stop; returns the exit code. Raises ``ConfigurationError``.

    ``example``: once ready, print a first call to copy.
    """
    settings = overridden(settings, overrides)
    set_up_logging(settings.server.log)
    listener = _bind(settings)
    port = listener.getsockname()[1]
    log.info("listening on http://%s:%d", settings.server.host, port)
    if settings.server.workers == 1:
        return _one(settings, listener, example)
    return _several(settings, overrides, listener)


def overridden(settings: GatewaySettings, overrides: dict[str, Any]) -> GatewaySettings:
    """The settings with ``server`` members replaced, checked again."""
    if not overrides:
        return settings
    try:
        server = type(settings.server).model_validate({**settings.server.model_dump(), **overrides})
    except ValidationError as error:
        faults = [f"--{e['loc'][0]} {e['input']!r}: {e['msg']}." for e in error.errors()]
        raise ConfigurationError(" ".join(faults)) from error
    changed = settings.model_copy(update={"server": server})
    if changed.auth.keys == "open" and not is_loopback(server.host):
        raise ConfigurationError(
            f"auth.keys is `open`, so the gateway listens on loopback only, not on {server.host}. "
            "Set auth.keys to `required` and make keys with `headgate keys create`."
        )
    return changed


def _bind(settings: GatewaySettings) -> socket.socket:
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {error.strerror}. "
            "Stop what uses it, or set server.port or --port to another one."
        ) from error
    listener.set_inheritable(True)
    return listener


def _config(app: Any, settings: GatewaySettings, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=int(settings.server.drain_s),
        **more,
    )


def _one(settings: GatewaySettings, listener: socket.socket, example: bool) -> int:
    failures: list[Exception] = []

    def failed(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    def ready() -> None:
        if example:
            print(first_call(settings), flush=True)

    server = uvicorn.Server(_config(App(settings, failed, ready), settings))
    server.run(sockets=[listener])
    if not failures:
        return 0
    if isinstance(failures[0], HeadgateError):
        print(f"headgate: {failures[0]}", file=sys.stderr)
        return failures[0].exit_code
    log.error("the gateway cannot be opened", exc_info=failures[0])
    return 1


@dataclass(frozen=True, slots=True)
class WorkerApp:
    """Makes the application inside a worker process; picklable."""

    path: str
    overrides: tuple[tuple[str, Any], ...]
    failed: Any
    """A ``multiprocessing.Event`` that tells the parent why it is being stopped."""

    def __call__(self) -> App:
        """Load the settings again and build the application."""
        settings = overridden(load_settings(self.path), dict(self.overrides))
        set_up_logging(settings.server.log)
        return App(settings, self._stop_all)

    def _stop_all(self, error: Exception) -> None:
        log.error("a worker cannot open the gateway: %s", error)
        self.failed.set()
        os.kill(os.getppid(), signal.SIGTERM)


def _several(settings: GatewaySettings, overrides: dict[str, Any], listener: socket.socket) -> int:
    from uvicorn.supervisors import Multiprocess

    asyncio.run(_try_out(settings))
    failed = multiprocessing.get_context("spawn").Event()
    factory = WorkerApp(str(settings.path), tuple(overrides.items()), failed)
    config = _config(factory, settings, factory=True, workers=settings.server.workers)
    Multiprocess(config, sockets=[listener]).run()
    return 1 if failed.is_set() else 0


async def _try_out(settings: GatewaySettings) -> None:
    """Open the gateway once before any worker does: faults show here, with their exit code."""
    from headgate_gateway.build import Gateway

    await (await Gateway.open(settings)).close()
