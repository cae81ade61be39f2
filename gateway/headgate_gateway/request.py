"""A request as parsed: known members are validated, unknown ones pass through untouched."""

from __future__ import annotations

from typing import Any

from headgate_core.endpoints import Kind
from headgate_core.errors import InvalidRequest
from headgate_core.parameters import PARAMETERS
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.types import Json
from headgate_core.validate import Wrong, check_known
from headgate_gateway.chat_messages import messages
from headgate_gateway.forwarded import validate_forwarded
from headgate_gateway.native import validate_native
from headgate_gateway.plan import RoutePlan

_CHAT = {**PARAMETERS, "messages": messages}
_OWN = ("inputs", "meta")


def validated(body: Json, kind: Kind = "chat", native: RoutePlan | None = None) -> Json:
    """The body itself when it is sound. Raises ``InvalidRequest`` naming the parameter.

    ``native``: the plan of a body that goes upstream in its own wire.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("`model` must be the name of a route, alias or pool.", param="model")
    _own(body.get("headgate"))
    if native is not None:
        validate_native(body, native)
    elif kind == "chat":
        _chat(body)
    else:
        validate_forwarded(kind, body)
    return body


def _chat(body: Json) -> None:
    try:
        if body.get("messages") is None:
            messages(None)
        check_known(body, _CHAT)
    except Wrong as wrong:
        path = wrong.path or "messages"
        raise InvalidRequest(f"`{path}` {wrong.why}.", param=path) from None


def _own(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise InvalidRequest("`headgate` must be an object.", param="headgate")
    for name in value:
        if name not in _OWN:
            known = ", ".join(_OWN)
            raise InvalidRequest(
                f"`headgate.{name}` is not known. Known: {known}.", param=f"headgate.{name}"
            )
    if not isinstance(value.get("inputs", {}), dict):
        raise InvalidRequest("`headgate.inputs` must be an object.", param="headgate.inputs")
    if not isinstance(value.get("meta", False), bool):
        raise InvalidRequest("`headgate.meta` must be true or false.", param="headgate.meta")


def only_moderation(settings: GatewaySettings) -> str:
    """What a moderation call without a model means, as OpenAI allows it."""
    pools = [pool.name for pool in settings.pools if pool.serves == "moderation"]
    if len(pools) == 1:
        return pools[0]
    raise InvalidRequest(
        f"`model` must name one of the pools that serve moderation: "
        f"{', '.join(pools) or 'there is none'}.",
        param="model",
    )
