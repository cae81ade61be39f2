"""How a block reaches the caller: a normal answer that says no, or a 400, as the policy says."""

from __future__ import annotations

from typing import NoReturn

from headgate_core.context import Context
from headgate_core.errors import Blocked, Ended
from headgate_core.ports import Stopped
from headgate_gateway.replies.chunks import reply_of, wants_usage, whole


def refuse(ctx: Context, stop: Stopped) -> NoReturn:
    """End the call with the policy's refusal. Raises ``Ended`` or ``Blocked``."""
    ctx.refused = True
    if stop.as_error:
        raise blocked(stop)
    body = whole(ctx.call_id, ctx.asked_model, stop.text, "content_filter")
    ctx.answer = stop.text
    reply = reply_of(body, stream=ctx.stream, include_usage=wants_usage(ctx.request))
    raise Ended(reply, f"blocked by {stop.policy}/{stop.check}")


NOTHING_FOUND = "The documents do not answer this question."


def nothing_found(ctx: Context) -> NoReturn:
    """End the call without asking a model: no passage is left. Raises ``Ended``."""
    ctx.answer = NOTHING_FOUND
    body = whole(ctx.call_id, ctx.asked_model, NOTHING_FOUND, "stop")
    reply = reply_of(body, stream=ctx.stream, include_usage=wants_usage(ctx.request))
    raise Ended(reply, "no passage is left")


def blocked(stop: Stopped) -> Blocked:
    """The error of a policy that says ``refusal.as: error``; names policy and check, no text."""
    return Blocked(stop.text, param="messages", extra={"policy": stop.policy, "check": stop.check})
