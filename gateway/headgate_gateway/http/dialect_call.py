"""A call in a foreign dialect: translated at the border, served by the same compiled route."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError, Internal
from headgate_core.reply import Chunk, Done, Raw
from headgate_core.types import Json
from headgate_gateway.http.asgi import Hangup, Receive, Scope, Send, respond, respond_json
from headgate_gateway.http.calling import (
    body_of,
    closed,
    context_of,
    until_hangup,
)
from headgate_gateway.http.dialects.dialect import Dialect
from headgate_gateway.http.envelope import error_headers
from headgate_gateway.http.event_stream import EventStream
from headgate_gateway.http.meta import reply_headers

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan


async def dialect_call(
    gateway: Gateway, scope: Scope, receive: Receive, send: Send, dialect: type[Dialect]
) -> None:
    """One call from body to last byte; a hang-up cancels it wherever it is."""
    try:
        spoken = dialect(await body_of(gateway, receive))
        ctx, plan = context_of(gateway, scope, spoken.chat())
    except Hangup:
        return
    except HeadgateError as error:
        await refuse(send, error, dialect)
        return
    ctx.parsed = True
    ctx.endpoint = spoken.path
    ctx.prompt_asked = spoken.prompt
    ctx.dropped += spoken.dropped
    await until_hangup(receive, _Call(ctx, plan, spoken).answer(send))


async def refuse(send: Send, error: HeadgateError, dialect: type[Dialect]) -> None:
    """An error in the dialect's own envelope, before there is a call."""
    status, body, headers = dialect.refusal(error, "")
    await respond_json(send, status, body, {**error_headers(error), **headers})


class _Call:
    """One call and the words it is answered in."""

    def __init__(self, ctx: Context, plan: RoutePlan, spoken: Dialect) -> None:
        self._ctx = ctx
        self._plan = plan
        self._spoken = spoken

    async def answer(self, send: Send) -> None:
        """Run the route and send what comes of it."""
        if self._ctx.stream:
            async with EventStream(send, self._headers) as out:
                await self._streamed(send, out)
            return
        chat: Json = {}
        try:
            await self._plan.pipeline.run(self._ctx)
            async for event in self._plan.pipeline.events(self._ctx):
                if not isinstance(event, Done):
                    chat = _parsed(event)
        except HeadgateError as error:
            await self._error(send, error)
            return
        data = orjson.dumps(self._spoken.whole(self._ctx, chat))
        await respond(send, 200, data, self._headers(settled=True))

    def _headers(self, *, settled: bool = False) -> dict[str, str]:
        return {**reply_headers(self._ctx, settled=settled), **self._spoken.headers(self._ctx)}

    async def _error(self, send: Send, error: HeadgateError) -> None:
        status, body, extra = self._spoken.refusal(error, self._ctx.call_id)
        headers = {**self._headers(), **error_headers(error), **extra}
        await respond_json(send, status, body, headers)

    async def _streamed(self, send: Send, out: EventStream) -> None:
        """An error is a status of its own until the stream has begun, then its last event."""
        try:
            await self._plan.pipeline.run(self._ctx)
            async with aclosing(self._bytes()) as stream:
                async for data in stream:
                    await out.put(data)
        except HeadgateError as error:
            await out.quiet()
            if not out.started:
                await self._error(send, error)
                return
            await out.put(b"".join(self._spoken.failure(self._ctx, error)))
        await out.end()

    async def _bytes(self) -> AsyncGenerator[bytes, None]:
        """The reply as the dialect streams it; nothing before the first event has come."""
        ctx, spoken = self._ctx, self._spoken
        guards = self._plan.guards
        held_back = guards is not None and guards.guards("output")
        opened = False
        async with aclosing(closed(self._plan.pipeline.events(ctx))) as events:
            async for event in events:
                data = [] if opened else list(spoken.opening(ctx, held_back))
                opened = True
                if isinstance(event, Done):
                    data += spoken.closing(ctx)
                else:
                    data += spoken.chunk(ctx, _parsed(event))
                if data:
                    yield b"".join(data)


def _parsed(event: Chunk | Raw) -> Json:
    """The event's body; the kept answer of a call that was forwarded may come as bytes."""
    if isinstance(event, Chunk):
        return event.body
    lines = event.data.splitlines() if event.data[:1] != b"{" else [event.data]
    data = b"".join(x.removeprefix(b"data:") for x in lines if x.startswith((b"data:", b"{")))
    body = orjson.loads(data)
    if not isinstance(body, dict):
        raise Internal("A dialect was given an event that is no object.")
    return body
