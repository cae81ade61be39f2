"""``POST /v1/feedback``: what a caller thinks of one of its own calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from headgate_core.errors import RateLimited
from headgate_core.ports import Masker
from headgate_core.records import CallRecord, FeedbackRecord
from headgate_core.settings.routes import Capture
from headgate_core.store import Store
from headgate_core.store.feedback import made, write_feedback
from headgate_core.types import Principal
from headgate_gateway.feedback import document, parsed, recorded, strictest
from headgate_gateway.http.asgi import Hangup, Receive, Scope, Send, respond_json
from headgate_gateway.http.calling import body_of
from headgate_gateway.http.own import owned, principal_of

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway

MOST_PER_MINUTE = 600
"""Feedback of one key that has no limit of its own."""


async def give_feedback(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
    """Store feedback, or replace the earlier one of the same key, call and name.

    It is in the store before the answer. Raises ``Unauthenticated``, ``InvalidRequest``,
    ``NotFound`` for calls of others and for none, ``Conflict``, ``RateLimited`` and
    ``StoreError``.
    """
    who = await principal_of(gateway, scope)
    await _within_limit(gateway, who)
    try:
        given = parsed(await body_of(gateway, receive))
    except Hangup:
        return
    call = (await owned(gateway, who, given.call_id)).record
    capture, masker = _rule(gateway, call)
    record = await recorded(given, call["call_id"], who.key_id, capture, masker)
    stored = await asyncio.to_thread(_write, gateway.store, record)
    if gateway.parts.on_feedback is not None:
        gateway.parts.on_feedback(call["trace_id"], stored)
    left_out = stored["comment_status"] == "not_captured"
    headers = {"x-headgate-dropped": "comment"} if left_out else {}
    await respond_json(send, 200, document(stored), headers)


async def _within_limit(gateway: Gateway, who: Principal) -> None:
    """Feedback is no call, so it is counted apart, by as many as the key may make."""
    name, most = f"feedback of key {who.key_id}", who.requests_per_minute or MOST_PER_MINUTE
    full = await gateway.parts.limiter.take([(name, most)])
    if full is not None:
        raise RateLimited(
            f"The limit of {most} requests per minute of {name} is used up; there is room again "
            f"in {full[1]:.1f} s.",
            retry_after_s=full[1],
        )


def _rule(gateway: Gateway, call: CallRecord) -> tuple[Capture, Masker | None]:
    """What may be kept of a text about this call: by its record, and by its route as it is now."""
    then = cast(Capture, call["capture"])
    plan = gateway.parts.models.get(call["route"])
    if plan is None:
        return then, None
    return strictest(then, plan.capture), plan.masker


def _write(store: Store, record: FeedbackRecord) -> FeedbackRecord:
    with store.begin() as db:
        return write_feedback(db, made(record))
