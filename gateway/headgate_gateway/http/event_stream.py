"""An event stream on its way to the client: its headers, its events, and its keep-alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from headgate_gateway.http.asgi import Send, encoded
from headgate_gateway.http.calling import STREAM_HEADERS

KEEP_ALIVE_S = 15.0
"""So much silence is broken by a comment: proxies close connections on which nothing moves."""

KEEP_ALIVE = b": keep-alive\n\n"


class EventStream:
    """Use it as ``async with``. The status goes out with the first event or comment, not before.

    From the first comment on the status is 200, whatever happens: errors become events then.
    ``headers`` is asked once, at that moment.
    """

    def __init__(self, send: Send, headers: Callable[[], dict[str, str]]) -> None:
        self._send = send
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._interval = KEEP_ALIVE_S
        self._last = self._loop.time()
        self._timer = self._loop.call_later(self._interval, self._silent)
        self._keeping: asyncio.Task[None] | None = None
        self.started = False
        """Whether the status has gone out."""

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: object, trace: TracebackType | None
    ) -> None:
        await self.quiet()

    async def put(self, data: bytes) -> None:
        """Send whole events, after the status if they are the first."""
        async with self._lock:
            if not self.started:
                pairs = encoded({**STREAM_HEADERS, **self._headers()}.items())
                await self._send({"type": "http.response.start", "status": 200, "headers": pairs})
                self.started = True
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._last = self._loop.time()

    async def end(self) -> None:
        """Nothing more will come."""
        await self.quiet()
        await self._send({"type": "http.response.body", "body": b""})

    async def quiet(self) -> None:
        """No comment goes out any more. Idempotent."""
        self._timer.cancel()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None

    def _silent(self) -> None:
        self._keeping = self._loop.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        while True:
            rest = self._last + self._interval - self._loop.time()
            if rest <= 0:
                await self.put(KEEP_ALIVE)
                rest = self._interval
            await asyncio.sleep(rest)
