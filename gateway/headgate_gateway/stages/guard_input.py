"""Checks on the caller's messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.ports import Guards, Stopped
from headgate_core.types import At, Json
from headgate_gateway.plan import RoutePlan
from headgate_gateway.refusal import refuse


@dataclass(slots=True)
class GuardInput:
    """Masks the caller's messages and tool results, or ends the call with the policy's refusal."""

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
        """Every text of every message, each on its own."""
        checked = []
        for number, message in enumerate(ctx.request["messages"], 1):
            at: At = "tool_results" if message.get("role") in ("tool", "function") else "input"
            if not self.guards.guards(at):
                checked.append(message)
                continue
            try:
                checked.append(await self._message(ctx, at, message, f"message {number}"))
            except Stopped as stop:
                refuse(ctx, stop)
        ctx.request = {**ctx.request, "messages": checked}
        await self._inputs(ctx)

    async def _message(self, ctx: Context, at: At, message: Json, subject: str) -> Json:
        content = message.get("content")
        if isinstance(content, str):
            return {**message, "content": await self._text(ctx, at, content, subject)}
        if isinstance(content, list):
            parts = []
            for entry in content:
                if isinstance(entry, dict) and isinstance(entry.get("text"), str):
                    text = await self._text(ctx, at, entry["text"], subject)
                    entry = {**entry, "text": text}
                parts.append(entry)
            return {**message, "content": parts}
        return message

    async def _text(self, ctx: Context, at: At, text: str, subject: str) -> str:
        cleared = await self.guards.check(at, text, subject, ctx.verdicts)
        return "" if cleared is None else cleared

    async def _inputs(self, ctx: Context) -> None:
        if not self.guards.guards("input"):
            return
        for name, value in list(ctx.inputs.items()):
            if not isinstance(value, str):
                continue
            try:
                ctx.inputs[name] = await self._text(ctx, "input", value, f"input {name}")
            except Stopped as stop:
                refuse(ctx, stop)
