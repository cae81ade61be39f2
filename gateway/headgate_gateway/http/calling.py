"""What every endpoint that makes a call shares: its body, its context, and the client's hang-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TYPE_CHECKING

from headgate_core.context import Context
from headgate_core.endpoints import CHAT
from headgate_core.reply import Event
from headgate_core.types import Json
from headgate_gateway.http.asgi import Message, Receive, Scope, header, parse_object, read_body
from headgate_gateway.http.labels import label
from headgate_gateway.http.peer import peer_of
from headgate_gateway.http.sdk_headers import heed
from headgate_gateway.http.trace import joined_trace

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
"""Of every reply that is a stream of events."""


async def body_of(gateway: Gateway, receive: Receive) -> Json:
    """The body as a JSON object. Raises ``InvalidRequest``, ``TooLarge`` or ``Hangup``."""
    return parse_object(await read_body(receive, int(gateway.settings.server.max_body_mb * 1e6)))


def context_of(
    gateway: Gateway, scope: Scope, body: Json, endpoint: str = CHAT
) -> tuple[Context, RoutePlan]:
    """The call's context from its body and headers. Raises ``InvalidRequest``.

    ``endpoint`` is one that is forwarded as it is; every dialect of chat comes as a chat body.
    """
    ctx, plan = gateway.prepare(body, endpoint)
    ctx.peer = peer_of(scope)
    ctx.trace_id, ctx.parent_span_id = joined_trace(header(scope, b"traceparent"), ctx.trace_id)
    ctx.idempotency_key = header(scope, b"idempotency-key")
    label(ctx, scope, body)
    heed(ctx, scope)
    return ctx, plan


async def until_hangup(
    receive: Receive, ctx: Context, plan: RoutePlan, answer: Awaitable[None]
) -> None:
    """Await ``answer``; a hang-up of the client cancels it wherever it is.

    As long as it lasts, the call counts as one of the plan's configuration.
    """
    plan.parts.calls.enter(ctx)
    watcher = _watch(receive)
    try:
        await answer
    except asyncio.CancelledError:
        if not watcher.done():
            raise  # not the client's hang-up: the server is going down
    finally:
        watcher.cancel()
        plan.parts.calls.leave(ctx)


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


async def closed(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    """The events; their source is closed however the iteration ends."""
    try:
        async for event in events:
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
