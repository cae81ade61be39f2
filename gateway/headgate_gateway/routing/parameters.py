"""What a target can honour of a request: the rest is refused by name, or left out and named."""

from __future__ import annotations

from dataclasses import replace

from headgate_core.errors import InvalidRequest
from headgate_core.ports import ModelRequest
from headgate_gateway.routing.target_state import TargetState


class UnsupportedParameter(InvalidRequest):
    """A target cannot honour a parameter; ``param`` names it. Nothing was sent."""

    code = "unsupported_parameter"


async def fitted(state: TargetState, request: ModelRequest, *, drop: bool) -> ModelRequest:
    """The request as this target can honour it. Raises ``UnsupportedParameter`` unless ``drop``.

    What is left out stands in the call's ``dropped`` and ``degraded``.
    """
    ask = getattr(state.provider, "unsupported", None)
    if ask is None:
        return request
    names = list(await ask(request, state.target.model))
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
    body = {k: v for k, v in request.body.items() if k not in names}
    return replace(request, body=body)
