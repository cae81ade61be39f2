"""An event stream on its way to the client: its headers, its events, and its keep-alive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType

from headgate_core.context import Context
from headgate_gateway.http.asgi import Message, Send, encoded
from headgate_gateway.http.calling import STREAM_HEADERS

log = logging.getLogger("headgate.http")

LAST_S = 5.0
"""How long a client may take for what is sent when its call has no more time: an error, say."""

KEEP_ALIVE_S = 15.0
"""So long a wait for the first byte is broken by a comment, and again after each such while."""

KEEP_ALIVE = b": keep-alive\n\n"


class _Stalled(Exception):
    """The client has stopped reading, and its call's time is over."""


class EventStream:
    """Use it as ``async with``. The status goes out with the first event or comment, not before.

    From the first comment on the status is 200, whatever happens: errors become events then.
    ``headers`` is asked once, at that moment.

    A client that takes nothing any more holds the call until ``total_s`` is over, not longer: the
    block is left as if it had hung up.
    """

    def __init__(self, send: Send, headers: Callable[[], dict[str, str]], ctx: Context) -> None:
        self._to_client = send
        self._ctx = ctx
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._interval = KEEP_ALIVE_S
        self._timer = self._loop.call_later(self._interval, self._silent)
        self._keeping: asyncio.Task[None] | None = None
        self._spoken = False
        self.started = False
        """Whether the status has gone out."""

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: object, trace: TracebackType | None
    ) -> bool:
        await self.quiet()
        if isinstance(raised, _Stalled):
            log.warning("call %s: its client took nothing until total_s", self._ctx.call_id)
            return True
        return False

    async def put(self, data: bytes) -> None:
        """Send whole events, after the status if they are the first; no comment comes from then
        on."""
        async with self._lock:
            await self._write(data)
        if not self._spoken:
            self._spoken = True
            await self.quiet()

    async def _write(self, data: bytes) -> None:
        if not self.started:
            pairs = encoded({**STREAM_HEADERS, **self._headers()}.items())
            await self._send({"type": "http.response.start", "status": 200, "headers": pairs})
            self.started = True
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

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

    async def _send(self, message: Message) -> None:
        until: float | None = self._ctx.notes.get("total_at")
        if until is not None:
            until = max(until, self._loop.time() + LAST_S)
        try:
            async with asyncio.timeout_at(until):
                await self._to_client(message)
        except TimeoutError:
            raise _Stalled from None

    def _silent(self) -> None:
        self._keeping = self._loop.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        while not self._spoken:
            async with self._lock:
                await self._write(KEEP_ALIVE)
            await asyncio.sleep(self._interval)
