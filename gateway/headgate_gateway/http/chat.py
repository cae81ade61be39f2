"""``POST /v1/chat/completions``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.reply import Chunk, Done, Raw, closing
from headgate_gateway.http.asgi import (
    Hangup,
    Message,
    Receive,
    Scope,
    Send,
    encoded,
    header,
    parse_object,
    read_body,
    respond,
)
from headgate_gateway.http.envelope import error_bytes, error_headers
from headgate_gateway.http.meta import Finale, reply_headers, with_meta
from headgate_gateway.http.peer import peer_of
from headgate_gateway.http.trace import joined_trace
from headgate_gateway.sse import DONE, encode

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan

_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


async def chat_completions(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
    """One call from body to last byte; a hang-up cancels it wherever it is."""
    try:
        data = await read_body(receive, int(gateway.settings.server.max_body_mb * 1e6))
        ctx, plan = context_of(gateway, scope, parse_object(data))
    except Hangup:
        return
    except HeadgateError as error:
        await respond(send, error.http_status, error_bytes(error), error_headers(error))
        return
    watcher = _watch(receive)
    try:
        await _answer(ctx, plan, send)
    except asyncio.CancelledError:
        if not watcher.done():
            raise  # not the client's hang-up: the server is going down
    finally:
        watcher.cancel()


def _watch(receive: Receive) -> asyncio.Task[Message]:
    """Cancels the present task when the client hangs up."""
    working = asyncio.current_task()
    watcher: asyncio.Task[Message] = asyncio.ensure_future(_disconnect(receive))

    def hung_up(task: asyncio.Task[Message]) -> None:
        if not task.cancelled() and working is not None:
            working.cancel("the client hung up")

    watcher.add_done_callback(hung_up)
    return watcher


async def _disconnect(receive: Receive) -> Message:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return message


def context_of(gateway: Gateway, scope: Scope, body: dict[str, Any]) -> tuple[Context, RoutePlan]:
    """The call's context from its body and headers. Raises ``InvalidRequest``."""
    ctx, plan = gateway.prepare(body)
    ctx.peer = peer_of(scope)
    ctx.trace_id, ctx.parent_span_id = joined_trace(header(scope, b"traceparent"), ctx.trace_id)
    ctx.session = header(scope, b"x-headgate-session")
    ctx.user = header(scope, b"x-headgate-user") or str(body.get("user") or "")
    tags = header(scope, b"x-headgate-tags")
    ctx.tags = tuple(t.strip() for t in tags.split(",") if t.strip())
    return ctx, plan


async def _answer(ctx: Context, plan: RoutePlan, send: Send) -> None:
    try:
        await plan.pipeline.run(ctx)
    except HeadgateError as error:
        await _error(ctx, send, error)
        return
    if ctx.reply is not None and ctx.reply.stream:
        await _streamed(ctx, plan, send)
    else:
        await _at_once(ctx, plan, send)


async def _error(ctx: Context, send: Send, error: HeadgateError) -> None:
    headers = {**reply_headers(ctx), **error_headers(error)}
    await respond(send, error.http_status, error_bytes(error, ctx.call_id), headers)


async def _at_once(ctx: Context, plan: RoutePlan, send: Send) -> None:
    body = b""
    try:
        async for event in plan.pipeline.events(ctx):
            if isinstance(event, Chunk):
                chunk = event.body
            elif isinstance(event, Raw):
                body = event.data
                chunk = orjson.loads(body) if ctx.meta_asked else {}
            elif plan.text or ctx.meta_asked:
                body = orjson.dumps(with_meta(ctx, chunk))
            elif not body:
                body = orjson.dumps(chunk)
    except HeadgateError as error:
        await _error(ctx, send, error)
        return
    await respond(send, 200, body, reply_headers(ctx, settled=True))


async def _streamed(ctx: Context, plan: RoutePlan, send: Send) -> None:
    started = False
    stream = _bytes(ctx, plan)
    try:
        async for data in stream:
            if not started:
                headers = {**_STREAM_HEADERS, **reply_headers(ctx)}
                pairs = encoded(headers.items())
                await send({"type": "http.response.start", "status": 200, "headers": pairs})
                started = True
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except HeadgateError as error:
        if not started:
            await _error(ctx, send, error)
            return
        event = encode(error_bytes(error, ctx.call_id))
        await send({"type": "http.response.body", "body": event, "more_body": True})
    finally:
        await stream.aclose()
    await send({"type": "http.response.body", "body": b""})


async def _bytes(ctx: Context, plan: RoutePlan) -> Any:
    """The reply as SSE bytes. On text routes the finish chunk waits for the settled call."""
    finale = Finale(ctx) if plan.text else None
    async with closing(plan.pipeline.events(ctx)) as events:
        async for event in events:
            if isinstance(event, Raw):
                yield event.data
            elif isinstance(event, Chunk):
                for body in finale.pass_on(event.body) if finale else (event.body,):
                    yield encode(orjson.dumps(body))
            elif isinstance(event, Done):
                for body in finale.close() if finale else _asked_meta(ctx):
                    yield encode(orjson.dumps(body))
                yield DONE


def _asked_meta(ctx: Context) -> list[dict[str, Any]]:
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
