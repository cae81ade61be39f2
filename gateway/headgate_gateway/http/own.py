"""What a key may read: the models it may use, its own calls."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from headgate_core.context import Context
from headgate_core.errors import ModelNotFound, NotFound, StoreError
from headgate_core.ids import uuid7
from headgate_core.money import usd_text
from headgate_core.plugins import unknown
from headgate_core.store import Store
from headgate_core.store.calls import StoredCall, get_call, key_of
from headgate_core.types import Json, Principal
from headgate_gateway.feedback import document
from headgate_gateway.http.asgi import Scope, Send, respond_json
from headgate_gateway.http.peer import peer_of
from headgate_gateway.stages.admit import may_use
from headgate_gateway.stages.authenticate import Authenticate

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan

ANOTHER_WORKER_S = 1.0


async def principal_of(gateway: Gateway, scope: Scope) -> Principal:
    """Authenticate a request that is not a call. Raises ``Unauthenticated``."""
    ctx = Context(route="", request={}, peer=peer_of(scope))
    await Authenticate(gateway.parts.keys, gateway.settings.auth.keys == "open").run(ctx)
    return ctx.payer


async def models(gateway: Gateway, scope: Scope, send: Send) -> None:
    """``GET /v1/models``: what this key may name as ``model``."""
    who = await principal_of(gateway, scope)
    data = [
        _model(gateway, name, plan)
        for name, plan in sorted(gateway.parts.models.items())
        if may_use(who, plan)
    ]
    await respond_json(send, 200, {"object": "list", "data": data})


async def model(gateway: Gateway, scope: Scope, send: Send, name: str) -> None:
    """``GET /v1/models/{name}``: one of them. Raises ``ModelNotFound``."""
    who = await principal_of(gateway, scope)
    plan = gateway.parts.models.get(name)
    if plan is None or not may_use(who, plan):
        usable = sorted(n for n, p in gateway.parts.models.items() if may_use(who, p))
        text = unknown("model", name, usable)
        raise ModelNotFound(text[0].upper() + text[1:], param="model")
    await respond_json(send, 200, _model(gateway, name, plan))


def _model(gateway: Gateway, name: str, plan: RoutePlan) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": plan.settings.team,
        "headgate": gateway.facts.of(plan),
    }


async def own_call(gateway: Gateway, scope: Scope, send: Send, call_id: str) -> None:
    """``GET /v1/calls/{call_id}``: cost, citations, verdicts, scores and feedback of one's call."""
    who = await principal_of(gateway, scope)
    record, scores, feedback = await owned(gateway, who, call_id)
    shown: Json = {k: v for k, v in record.items() if k != "content"}
    shown["cost_usd"] = None if record["unpriced"] else usd_text(record["cost_pico"])
    # What an attempt says beyond its code is for the operator: hosts, addresses, files.
    shown["attempts"] = [
        {**attempt, "error": attempt["error"].partition(":")[0]} for attempt in record["attempts"]
    ]
    shown["scores"] = [
        {"metric": s["metric"], "value": s["value"], "unscored": s["unscored"] or None}
        for s in scores
    ]
    shown["feedback"] = [document(one) for one in feedback]
    await respond_json(send, 200, shown)


async def owned(gateway: Gateway, who: Principal, call_id: str) -> StoredCall:
    """The finished call of exactly this id, if it is of this key.

    Raises ``NotFound``, in the same words for calls of others and for none, and ``StoreError``.
    """
    if len(call_id) != len(uuid7()):  # a shorter one is a prefix, which may match others' calls
        raise _no_call(f"{call_id!r} is no call id: a whole one is needed.")
    if gateway.presence.away:
        raise StoreError(gateway.presence.away)
    await gateway.flush()
    if not await _is_of(gateway.store, call_id, who.key_id):
        raise _no_call(f"There is no finished call {call_id!r} of this key.")
    return await asyncio.to_thread(get_call, gateway.store, call_id)


def _no_call(message: str) -> NotFound:
    return NotFound(message, param="call_id", code="call_not_found")


async def _is_of(store: Store, call_id: str, key_id: str) -> bool:
    """Whether the call is of this key; another worker's record has ``ANOTHER_WORKER_S`` to arrive.

    A call of somebody else takes as long as none at all, so that time does not tell them apart.
    """
    deadline = time.monotonic() + ANOTHER_WORKER_S
    while await asyncio.to_thread(key_of, store, call_id) != key_id:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
