"""The server that ends its calls before it stops listening."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from types import FrameType

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from headgate_gateway.http.app import App

HEAR_S = 0.5
"""How long a connection on which nothing has been asked yet stays open at the end."""
LOOK_S = 0.01


class DrainingServer(uvicorn.Server):
    """A server that goes on listening while calls end, so that ``/ready`` can say what happens.

    What listens must be an ``App``.
    """

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end; to have been told so by a signal is no failure."""
        # uvicorn raises its signals once more at the end, for whoever handled them before it.
        for number in HANDLED_SIGNALS:
            signal.signal(number, self.handle_exit)
        # A helper process that is started here would else hold the port after the end.
        for listener in sockets or ():
            listener.set_inheritable(False)
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the end, a second Ctrl-C waits for nothing any more."""
        super().handle_exit(sig, frame)
        app = self._app()
        if app is not None:
            app.stop(hurry=self.force_exit)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, close the listener and all connections, then the gateway; in a hurry as well."""
        app = self._app()
        if app is not None:
            await app.drain()
        for listening in self.servers:
            listening.close()
        await self._heard()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves out the end of what it serves, then
            await self.lifespan.shutdown()

    async def _heard(self) -> None:
        """Let those who have just connected say what they want, which gets them their 503."""
        until = time.monotonic() + HEAR_S
        while not self.force_exit and time.monotonic() < until:
            open_ = self.server_state.connections
            if not any(getattr(connection, "cycle", True) is None for connection in open_):
                return
            await asyncio.sleep(LOOK_S)

    def _app(self) -> App | None:
        loaded = self.config.loaded_app if self.config.loaded else None
        return loaded if isinstance(loaded, App) else None
