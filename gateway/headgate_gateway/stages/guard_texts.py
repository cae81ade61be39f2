"""Checks on the texts of a call beside chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.errors import Blocked, InvalidRequest
from headgate_core.ports import Guards, Stopped
from headgate_gateway.forwarded import copied, has_tokens, texts
from headgate_gateway.plan import RoutePlan


@dataclass(slots=True)
class GuardTexts:
    """Masks the caller's texts, or ends the call with 400: a vector cannot say no."""

    name: ClassVar[str] = "guard_input"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    guards: Guards

    @classmethod
    def compile(cls, plan: RoutePlan) -> GuardTexts | None:
        """Only where a policy looks at the input."""
        if plan.guards is None or not plan.guards.guards("input"):
            return None
        return cls(plan.guards)

    async def run(self, ctx: Context) -> None:
        """Every text on its own. Raises ``Blocked``, or ``InvalidRequest`` for token ids."""
        ctx.may_capture = False
        if has_tokens(ctx.request):
            raise InvalidRequest(
                "The guards of this model read text and `input` holds token ids, which they "
                "cannot check. Send text (LangChain: check_embedding_ctx_length=False).",
                param="input",
            )
        request = copied(ctx.request)
        for one in texts(request):
            try:
                cleared = await self.guards.check("input", one.text, one.subject, ctx.verdicts)
            except Stopped as stop:
                ctx.refused = True
                extra: dict[str, object] = {"policy": stop.policy, "check": stop.check}
                raise Blocked(stop.text, param=one.subject.split()[0], extra=extra) from stop
            one.replace("" if cleared is None else cleared)
        ctx.request = request
        ctx.may_capture = True
