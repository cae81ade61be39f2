"""From a body in a foreign dialect to a call: passed through in its own wire, or as chat."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from headgate_core.context import Context
from headgate_core.types import Json
from headgate_gateway.http.asgi import Scope
from headgate_gateway.http.calling import context_of
from headgate_gateway.http.dialects.dialect import Dialect
from headgate_gateway.http.dialects.members import unserved
from headgate_gateway.http.labels import label
from headgate_gateway.request import validated
from headgate_gateway.routing.parameters import UnsupportedParameter

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway
    from headgate_gateway.plan import RoutePlan

_QUESTION = frozenset(
    {"model", "input", "messages", "prompt", "system", "instructions"}
    | {"previous_response_id", "conversation", "background"}
)
"""Without these members another question would be asked, or another answer be waited for: they are
refused, never left out."""


class _Chat(NamedTuple):
    spoken: Dialect
    body: Json
    left_out: list[str]


def prepared(
    gateway: Gateway, scope: Scope, body: Json, dialect: type[Dialect]
) -> tuple[Context, RoutePlan, Dialect]:
    """The call, its route, and the words of its answer. Raises ``InvalidRequest``."""
    drop = _drops(gateway, body)
    if gateway.native(body, dialect.path) is not None:
        ctx, plan = context_of(gateway, scope, body, dialect.path)
        ctx.as_chat = cache(lambda: _late(ctx, dialect, body, drop))
        return ctx, plan, dialect(body)
    chat = _translated(dialect, body, drop, marks=_marks(gateway, body))
    ctx, plan = context_of(gateway, scope, chat.body)
    ctx.parsed = True
    ctx.endpoint = dialect.path
    ctx.prompt_asked = chat.spoken.prompt
    label(ctx, scope, body)  # of the caller's own `metadata`, which chat may not have
    _note(ctx, chat)
    return ctx, plan, chat.spoken


def _translated(dialect: type[Dialect], body: Json, drop: bool, *, marks: bool = False) -> _Chat:
    """``drop``: members that chat cannot say are left out. Raises ``InvalidRequest``.

    ``marks``: the targets take ``cache_control``.
    """
    left_out: list[str] = []
    while True:
        spoken = dialect(body)
        spoken.marks = marks
        try:
            return _Chat(spoken, spoken.chat(), left_out)
        except UnsupportedParameter as error:
            name = _present(body, error.param or "")
            if not drop or not name or name.partition(".")[0] in _QUESTION:
                raise
            # Of a member without which the rest cannot be said either, the whole is named alone.
            left_out = [*(n for n in left_out if not n.startswith(f"{name}.")), name]
            body = _without(body, name.split("."))


def _present(body: Json, path: str) -> str:
    """The longest part of a dotted path at which the body has a member; empty = none."""
    found: list[str] = []
    holder: Any = body
    for name in path.split("."):
        if not isinstance(holder, dict) or name not in holder:
            break
        found.append(name)
        holder = holder[name]
    return ".".join(found)


def _without(body: Json, path: list[str]) -> Json:
    """A copy of ``body`` without the member at ``path``, which it has."""
    name, *rest = path
    if not rest:
        return {k: v for k, v in body.items() if k != name}
    return {**body, name: _without(body[name], rest)}


def _late(ctx: Context, dialect: type[Dialect], body: Json, drop: bool) -> Json:
    """The chat body for a target that does not speak the wire. Raises ``InvalidRequest``."""
    chat = _translated(dialect, body, drop)
    if chat.spoken.prompt:
        raise unserved("prompt.id", "only the upstream that keeps this prompt knows it.")
    validated({**chat.body, "model": ctx.asked_model})
    _note(ctx, chat)
    return {k: v for k, v in chat.body.items() if k not in ("model", "headgate")}


def _note(ctx: Context, chat: _Chat) -> None:
    ctx.dropped += [*chat.left_out, *chat.spoken.dropped]
    if chat.left_out:
        ctx.degraded.append(f"route: dropped {', '.join(chat.left_out)}, which chat cannot say")


def _marks(gateway: Gateway, body: Json) -> bool:
    plan = gateway.parts.models.get(str(body.get("model")))
    return plan is not None and plan.marks


def _drops(gateway: Gateway, body: Json) -> bool:
    plan = gateway.parts.models.get(str(body.get("model")))
    pools = gateway.settings.pools
    return plan is not None and any(
        pool.drop_unsupported for pool in pools if pool.name == plan.settings.pool
    )
