"""``POST /v1/embeddings``, ``/v1/rerank`` and ``/v1/moderations``: JSON in, JSON out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.reply import Chunk, Raw
from headgate_gateway.http.asgi import Hangup, Receive, Scope, Send, respond
from headgate_gateway.http.calling import body_of, context_of, until_hangup
from headgate_gateway.http.envelope import error_bytes, error_headers
from headgate_gateway.http.meta import reply_headers, with_meta

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan

PATHS = {f"/v1/{name}": name for name in ("embeddings", "rerank", "moderations")}
"""Where they are served, and the endpoint's name."""


async def forward(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
    """One call; the upstream's bytes are the answer, a hang-up cancels it wherever it is."""
    endpoint = PATHS[scope["path"]]
    try:
        ctx, plan = context_of(gateway, scope, await body_of(gateway, receive), endpoint)
    except Hangup:
        return
    except HeadgateError as error:
        await respond(send, error.http_status, error_bytes(error), error_headers(error))
        return
    await until_hangup(receive, ctx, plan, _answer(ctx, plan, send))


async def _answer(ctx: Context, plan: RoutePlan, send: Send) -> None:
    try:
        await plan.pipeline.run(ctx)
        body = await _body(ctx, plan)
    except HeadgateError as error:
        headers = {**reply_headers(ctx), **error_headers(error)}
        await respond(send, error.http_status, error_bytes(error, ctx.call_id), headers)
        return
    await respond(send, 200, body, reply_headers(ctx, settled=True))


async def _body(ctx: Context, plan: RoutePlan) -> bytes:
    """The whole body once the call is settled; the caller's wish for ``headgate`` is granted."""
    body = b""
    async for event in plan.pipeline.events(ctx):
        if isinstance(event, Raw):
            body = event.data
        elif isinstance(event, Chunk):
            body = orjson.dumps(event.body)
    return orjson.dumps(with_meta(ctx, orjson.loads(body))) if ctx.meta_asked else body
