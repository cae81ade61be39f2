"""What a target can honour of a request: the rest is refused by name, or left out and named."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from headgate_core.endpoints import CHAT, WIRES
from headgate_core.errors import InvalidRequest, UpstreamTimeout
from headgate_core.ports import ModelRequest
from headgate_core.types import Json
from headgate_gateway.routing.target_state import TargetState


class UnsupportedParameter(InvalidRequest):
    """A target cannot honour a parameter; ``param`` names it. Nothing was sent."""

    code = "unsupported_parameter"


async def fitted(
    state: TargetState, request: ModelRequest, *, drop: bool, left_s: float
) -> ModelRequest:
    """The request as this target can honour it. Raises ``UnsupportedParameter`` unless ``drop``,
    and ``UpstreamTimeout`` where a provider is not ready to say so within ``left_s``.

    What is left out stands in the call's ``dropped`` and ``degraded``. A request in another wire
    becomes one of chat where the target does not speak that wire.
    """
    if request.endpoint in WIRES and request.endpoint not in getattr(state.provider, "native", ()):
        request = _translated(state, request)
    ask = getattr(state.provider, "unsupported", None)
    if ask is None:
        return request
    try:
        async with asyncio.timeout(left_s):
            names = list(await ask(request, state.target.model))
    except TimeoutError as error:
        late = UpstreamTimeout("The timer total_s fired before the provider was ready to send.")
        late.timer, late.sent, late.at_fault = "total_s", False, False
        raise late from error
    if not names:
        return request
    if not drop:
        raise UnsupportedParameter(
            f"{state.target.name} cannot honour the parameter `{names[0]}`. Leave it out, name "
            "another model, or set `drop_unsupported: true` on the pool.",
            param=names[0],
        )
    ctx = request.context
    if ctx is not None:
        ctx.dropped.extend(n for n in names if n not in ctx.dropped)
        ctx.degraded.append(f"route: dropped {', '.join(names)} for {state.target.name}")
    body = request.body
    for name in names:
        body = without(body, name)
    return replace(request, body=body)


def without(body: Json, name: str) -> Json:
    """A copy of the body that lacks a member; ``tools[].function.strict`` is one of every tool."""
    if name in body or "." not in name:
        return {k: v for k, v in body.items() if k != name}
    first, _, rest = name.partition(".")
    holder = first.removesuffix("[]")
    inner = body.get(holder)
    if isinstance(inner, list):
        return {**body, holder: [without(e, rest) if isinstance(e, dict) else e for e in inner]}
    return {**body, holder: without(inner, rest)} if isinstance(inner, dict) else body


def _translated(state: TargetState, request: ModelRequest) -> ModelRequest:
    try:
        body = request.as_chat() if request.as_chat is not None else None
    except InvalidRequest as error:
        message = f"{state.target.name} has no /{request.endpoint} of its own. {error.message}"
        note = f"route: did without {state.target.name}: {error.message}"
        if request.context is not None and note not in request.context.degraded:
            request.context.degraded.append(note)
        raise UnsupportedParameter(message, param=error.param) from error
    if body is None:
        raise UnsupportedParameter(
            f"{state.target.name} has no /{request.endpoint} of its own.", param="model"
        )
    return replace(request, body=body, endpoint=CHAT, parsed=True)
