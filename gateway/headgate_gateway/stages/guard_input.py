"""Checks on everything that the caller wrote: messages, inputs, tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from headgate_core.context import Context
from headgate_core.ports import Guards, Stopped
from headgate_core.types import At, Json
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.refusal import refuse
from headgate_gateway.replies.texts import rewritten

_WRITTEN = ("tools", "functions", "prediction", "response_format", "metadata")
"""Members beside the messages that carry a caller's own words."""


@dataclass(slots=True)
class GuardInput:
    """Masks the caller's texts, or ends the call with the policy's refusal."""

    name: ClassVar[str] = "guard_input"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    guards: Guards

    @classmethod
    def compile(cls, plan: RoutePlan) -> GuardInput | None:
        """Only where a policy looks at the input or at tool results."""
        guards = plan.guards
        if guards is None or not (guards.guards("input") or guards.guards("tool_results")):
            return None
        return cls(guards)

    async def run(self, ctx: Context) -> None:
        """Every text, each on its own. What a block leaves unchecked is never kept."""
        ctx.may_capture = False
        request = dict(ctx.request)
        try:
            request["messages"] = [
                await self._message(ctx, message, f"message {number}")
                for number, message in enumerate(ctx.request["messages"], 1)
            ]
            for name in _WRITTEN:
                if request.get(name):
                    request[name] = await self._checked(ctx, "input", request[name], name)
            ctx.inputs = {
                name: await self._checked(ctx, "input", value, f"input {name}")
                for name, value in ctx.inputs.items()
            }
        except Stopped as stop:
            refuse(ctx, stop)
        ctx.request = request
        ctx.may_capture = True

    async def _message(self, ctx: Context, message: Json, subject: str) -> Json:
        at: At = "tool_results" if message.get("role") in ("tool", "function") else "input"
        checked: Json = await self._checked(ctx, at, message, subject)
        return checked

    async def _checked(self, ctx: Context, at: At, value: Any, subject: str) -> Any:
        if not self.guards.guards(at):
            return value

        async def check(text: str, _trail: str) -> str:
            cleared = await self.guards.check(at, text, subject, ctx.verdicts)
            return "" if cleared is None else cleared

        return await rewritten(value, subject, check)
