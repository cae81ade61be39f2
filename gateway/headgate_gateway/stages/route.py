"""Choose a target, call it, retry, fall back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.endpoints import ENDPOINT_OF
from headgate_core.ports import Caller, ModelRequest
from headgate_core.types import Purpose
from headgate_gateway.plan import RoutePlan


@dataclass(slots=True)
class Route:
    """Hands the rendered request to the ``Caller``, which owns targets, retries and fallbacks."""

    name: ClassVar[str] = "route"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    caller: Caller
    pool: str
    parsed: bool
    endpoint: str

    @classmethod
    def compile(cls, plan: RoutePlan) -> Route:
        """Every route has it."""
        endpoint = plan.wire or ENDPOINT_OF[plan.serves]
        return cls(plan.parts.caller, plan.settings.pool, plan.text, endpoint)

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.reply``, whose first content has arrived. Raises ``UpstreamError``."""
        if ctx.cache == "hit":
            return
        body = {**ctx.request, **ctx.parameters}
        if ctx.messages is not None:
            body["messages"] = ctx.messages
        request = ModelRequest(
            body,
            ctx.stream,
            parsed=self.parsed or ctx.parsed,
            context=ctx,
            endpoint=self.endpoint,
            as_chat=ctx.as_chat,
        )
        purpose = Purpose.SERVE if ctx.source == "serve" else Purpose.EVAL
        pool = ctx.pool or self.pool
        ctx.answered_by = ""
        ctx.reply = await self.caller.call(pool, request, purpose, ctx.payer, ctx)
        ctx.answered_by = ctx.reply.target
