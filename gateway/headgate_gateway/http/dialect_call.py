"""A call in a foreign dialect: translated at the border, or passed on in its own wire."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

import orjson

from headgate_core.context import Context
from headgate_core.endpoints import CHAT
from headgate_core.errors import HeadgateError
from headgate_core.pipeline import border
from headgate_core.reply import Chunk, Done, Event, Raw
from headgate_core.types import Json
from headgate_gateway.http.asgi import Hangup, Receive, Scope, Send, respond, respond_json
from headgate_gateway.http.calling import body_of, closed, until_hangup
from headgate_gateway.http.dialects.dialect import Dialect
from headgate_gateway.http.dialects.passed import PASSED, Passed
from headgate_gateway.http.envelope import error_headers
from headgate_gateway.http.event_stream import EventStream
from headgate_gateway.http.meta import reply_headers, with_meta
from headgate_gateway.http.translating import prepared
from headgate_gateway.sse import DONE
from headgate_gateway.upstream.errors import parsed

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan


async def dialect_call(
    gateway: Gateway, scope: Scope, receive: Receive, send: Send, dialect: type[Dialect]
) -> None:
    """One call from body to last byte; a hang-up cancels it wherever it is."""
    try:
        body = await body_of(gateway, receive)
        ctx, plan, spoken = prepared(gateway, scope, body, dialect)
    except Hangup:
        return
    except HeadgateError as error:
        await refuse(send, error, dialect)
        return
    await until_hangup(receive, ctx, plan, _Call(ctx, plan, spoken).answer(send))


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
        self._passed: Passed | None = None
        self._began = False

    async def answer(self, send: Send) -> None:
        """Run the route and send what comes of it."""
        if self._ctx.stream:
            async with EventStream(send, self._headers, self._ctx) as out:
                await self._streamed(send, out)
            return
        said: Json | bytes = b""
        data = b""
        try:
            await self._run()
            async with aclosing(closed(self._plan.pipeline.events(self._ctx))) as events:
                async for event in events:
                    with border(self._ctx):
                        said = self._said(event, said)
                        data = said if isinstance(said, bytes) else orjson.dumps(said)
        except HeadgateError as error:
            await self._error(send, error)
            return
        await respond(send, 200, data, self._headers(settled=True))

    async def _run(self) -> None:
        """Have a reply, in chat's words or, where its target speaks them, in the caller's own."""
        ctx = self._ctx
        await self._plan.pipeline.run(ctx)
        ctx.dropped[:] = dict.fromkeys(self._spoken.named(name) for name in ctx.dropped)
        if ctx.reply is not None and ctx.reply.wire != CHAT:
            self._passed = PASSED[ctx.reply.wire](ctx)

    def _said(self, event: Event, said: Json | bytes) -> Json | bytes:
        """The whole reply: put into words before it counts as delivered, completed after that."""
        ctx = self._ctx
        if not isinstance(event, Done):
            if self._passed is None:
                return self._spoken.whole(ctx, _parsed(event))
            if isinstance(event, Raw) and not ctx.meta_asked:
                return event.data
            return _parsed(event)
        if isinstance(said, bytes):
            return said
        return self._spoken.settled(ctx, said) if self._passed is None else with_meta(ctx, said)

    def _headers(self, *, settled: bool = False) -> dict[str, str]:
        return {**reply_headers(self._ctx, settled=settled), **self._spoken.headers(self._ctx)}

    async def _error(self, send: Send, error: HeadgateError) -> None:
        status, body, extra = self._spoken.refusal(error, self._ctx.call_id)
        headers = {**self._headers(), **error_headers(error), **extra}
        await respond_json(send, status, body, headers)

    async def _streamed(self, send: Send, out: EventStream) -> None:
        """An error is a status of its own until the stream has begun, then its last event."""
        try:
            await self._run()
            source = self._bytes() if self._passed is None else self._through(self._passed)
            async with aclosing(source) as stream:
                async for data in stream:
                    await out.put(data)
        except HeadgateError as error:
            await out.quiet()
            if not out.started:
                await self._error(send, error)
                return
            await out.put(self._failure(error))
        await out.end()

    def _failure(self, error: HeadgateError) -> bytes:
        ends = self._ctx.endpoint == "completions" and self._plan.parts.settings.server
        after = DONE if ends and ends.done_after_error else b""
        if self._passed is not None and self._began:
            return self._passed.failure(error) + after
        return b"".join(self._spoken.failure(self._ctx, error)) + after

    async def _through(self, passed: Passed) -> AsyncGenerator[bytes, None]:
        """The upstream's own events."""
        async with aclosing(closed(self._plan.pipeline.events(self._ctx))) as events:
            async for event in events:
                with border(self._ctx):
                    data = passed.event(event) if isinstance(event, Raw) else passed.closing()
                self._began = True
                if data:
                    yield data

    async def _bytes(self) -> AsyncGenerator[bytes, None]:
        """The reply as the dialect streams it; nothing before the first event has come."""
        ctx, spoken = self._ctx, self._spoken
        guards = self._plan.guards
        held_back = (guards is not None and guards.guards("output")) or bool(self._plan.retriever)
        opened = False
        async with aclosing(closed(self._plan.pipeline.events(ctx))) as events:
            async for event in events:
                with border(ctx):
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
    return parsed(data, again=True)
