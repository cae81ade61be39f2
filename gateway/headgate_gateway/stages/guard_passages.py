"""Checks on retrieved text: planted instructions, personal data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.ports import Guards, Stopped
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.refusal import refuse


@dataclass(slots=True)
class GuardPassages:
    """Drops or masks passages, each on its own; the call goes on with the rest."""

    name: ClassVar[str] = "guard_passages"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    guards: Guards

    @classmethod
    def compile(cls, plan: RoutePlan) -> GuardPassages | None:
        """Only where passages are fetched and a policy looks at them."""
        if plan.retriever is None or plan.guards is None or not plan.guards.guards("passages"):
            return None
        return cls(plan.guards)

    async def run(self, ctx: Context) -> None:
        """Replace ``ctx.passages`` by those that stay, masked where a check says so."""
        kept = []
        for passage in ctx.passages:
            subject = f"passage {passage.id}"
            try:
                text = await self.guards.check("passages", passage.text, subject, ctx.verdicts)
            except Stopped as stop:
                refuse(ctx, stop)
            if text is not None:
                kept.append(passage if text == passage.text else replace(passage, text=text))
        ctx.passages = kept
