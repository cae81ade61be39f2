"""``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.pipeline import border
from headgate_core.reply import Chunk, Done, Raw, closing
from headgate_core.types import Json
from headgate_gateway.http.asgi import Hangup, Receive, Scope, Send, respond
from headgate_gateway.http.calling import body_of, context_of, until_hangup
from headgate_gateway.http.chunk_shape import ChunkShape
from headgate_gateway.http.envelope import error_bytes, error_headers
from headgate_gateway.http.event_stream import EventStream
from headgate_gateway.http.meta import Finale, reply_headers, with_meta
from headgate_gateway.sse import DONE, encode
from headgate_gateway.upstream.errors import parsed

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan


async def chat_completions(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
    """One call from body to last byte; a hang-up cancels it wherever it is."""
    try:
        ctx, plan = context_of(gateway, scope, await body_of(gateway, receive))
    except Hangup:
        return
    except HeadgateError as error:
        await respond(send, error.http_status, error_bytes(error), error_headers(error))
        return
    await until_hangup(receive, ctx, plan, _answer(ctx, plan, send))


async def _answer(ctx: Context, plan: RoutePlan, send: Send) -> None:
    if ctx.stream:
        async with EventStream(send, lambda: reply_headers(ctx), ctx) as out:
            await _streamed(ctx, plan, send, out)
        return
    try:
        await plan.pipeline.run(ctx)
    except HeadgateError as error:
        await _error(ctx, send, error)
        return
    await _at_once(ctx, plan, send)


async def _error(ctx: Context, send: Send, error: HeadgateError) -> None:
    headers = {**reply_headers(ctx), **error_headers(error)}
    await respond(send, error.http_status, error_bytes(error, ctx.call_id), headers)


async def _at_once(ctx: Context, plan: RoutePlan, send: Send) -> None:
    body = b""
    chunk: Json = {}
    try:
        async with closing(plan.pipeline.events(ctx)) as events:
            async for event in events:
                with border(ctx):
                    if isinstance(event, Chunk):
                        chunk = event.body
                    elif isinstance(event, Raw):
                        body = event.data
                        chunk = parsed(body, again=True) if ctx.meta_asked else {}
                    elif plan.text or ctx.meta_asked:
                        body = orjson.dumps(with_meta(ctx, chunk))
                    elif not body:
                        body = orjson.dumps(chunk)
    except HeadgateError as error:
        await _error(ctx, send, error)
        return
    await respond(send, 200, body, reply_headers(ctx, settled=True))


async def _streamed(ctx: Context, plan: RoutePlan, send: Send, out: EventStream) -> None:
    """An error is a status of its own until the stream has begun, then its last event."""
    try:
        await plan.pipeline.run(ctx)
        async with aclosing(_bytes(ctx, plan)) as stream:
            async for data in stream:
                await out.put(data)
    except HeadgateError as error:
        await out.quiet()
        if not out.started:
            await _error(ctx, send, error)
            return
        after = DONE if plan.parts.settings.server.done_after_error else b""
        await out.put(encode(error_bytes(error, ctx.call_id)) + after)
    await out.end()


async def _bytes(ctx: Context, plan: RoutePlan) -> AsyncGenerator[bytes, None]:
    """The reply as SSE bytes. On text routes the finish chunk waits for the settled call."""
    finale = Finale(ctx) if plan.text else None
    shape = ChunkShape(ctx.request)
    async with closing(plan.pipeline.events(ctx)) as events:
        async for event in events:
            if isinstance(event, Raw):
                yield event.data
                continue
            with border(ctx):
                told = [
                    encode(orjson.dumps(shaped))
                    for body in _told(ctx, event, finale)
                    for shaped in shape.shaped(body)
                ]
            for data in told:
                yield data
            if isinstance(event, Done):
                yield DONE


def _told(ctx: Context, event: Chunk | Done, finale: Finale | None) -> list[Json]:
    """The chunks that go out for one event."""
    if isinstance(event, Chunk):
        return list(finale.pass_on(event.body)) if finale else [event.body]
    return list(finale.close()) if finale else _asked_meta(ctx)


def _asked_meta(ctx: Context) -> list[Json]:
    if not ctx.meta_asked:
        return []
    facts = ctx.reply.facts if ctx.reply else None
    chunk = {
        "id": facts.response_id if facts else "",
        "object": "chat.completion.chunk",
        "created": ctx.started_unix_ns // 10**9,
        "model": facts.model if facts else ctx.asked_model,
        "choices": [],
    }
    return [with_meta(ctx, chunk)]
