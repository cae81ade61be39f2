"""Checks on the reply, streams included: nothing leaves before it is cleared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from headgate_core.context import Context
from headgate_core.errors import Internal
from headgate_core.ports import Guarded, Guards, Stopped
from headgate_core.reply import Chunk, Done, Events, Raw, Reply, closing
from headgate_core.types import At, Json
from headgate_gateway.chunks import (
    Channel,
    chunk_like,
    finishes,
    has_content,
    part,
    slots,
    tool_number,
    whole,
)
from headgate_gateway.plan import RoutePlan
from headgate_gateway.refusal import blocked

TextKey: TypeAlias = tuple[int, Channel, str]
"""Choice, channel and member: each is a text of its own with a buffer of its own."""


@dataclass(slots=True)
class GuardOutput:
    """Masks the reply's texts as they come, or ends the reply with the policy's refusal."""

    name: ClassVar[str] = "guard_output"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    guards: Guards

    @classmethod
    def compile(cls, plan: RoutePlan) -> GuardOutput | None:
        """Only where a policy looks at the output or at tool calls."""
        guards = plan.guards
        if guards is None or not (guards.guards("output") or guards.guards("tool_calls")):
            return None
        return cls(guards)

    async def run(self, ctx: Context) -> None:
        """Wrap ``ctx.reply``."""
        if ctx.reply is None:
            raise Internal("There is no reply to guard.")
        cleared = _Clearing(self.guards, ctx, ctx.reply).events()
        ctx.reply = replace(ctx.reply, events=cleared)


class _Clearing:
    """One reply on its way through the checks."""

    def __init__(self, guards: Guards, ctx: Context, reply: Reply) -> None:
        self._guards = guards
        self._ctx = ctx
        self._reply = reply
        self._open: dict[TextKey, Guarded] = {}
        self._sent = False

    async def events(self) -> Events:
        async with closing(self._reply.events) as events:
            async for event in events:
                if isinstance(event, Raw):
                    raise Internal("A guarded reply must be parsed before it is checked.")
                if isinstance(event, Done):
                    yield event
                    return
                try:
                    async for body in self._cleared(event.body):
                        self._sent = self._sent or has_content(body)
                        yield Chunk(body)
                except Stopped as stop:
                    yield Chunk(self._refusal(stop, event.body))
                    yield Done()
                    return

    async def _cleared(self, body: Json) -> AsyncIterator[Json]:
        """What may go out now that ``body`` has come, rests of finished texts first."""
        carried = has_content(body)
        await self._feed(body)
        for choice in body.get("choices") or ():
            if choice.get("finish_reason") or part(choice).get("tool_calls"):
                async for rest in self._rests(body, choice):
                    yield rest
        if not carried or has_content(body) or finishes(body):
            yield body

    async def _feed(self, body: Json) -> None:
        for slot in slots(body):
            at: At = "tool_calls" if slot.channel == "tool" else "output"
            if not self._guards.guards(at):
                continue
            key = (slot.choice, slot.channel, slot.key)
            if key not in self._open:
                subject = f"choice {slot.choice} {slot.channel}"
                self._open[key] = self._guards.stream(at, subject, self._ctx.verdicts)
            slot.text = await self._open[key].feed(slot.text)

    async def _rests(self, body: Json, choice: Json) -> AsyncIterator[Json]:
        """Flush the choice's texts: all at its finish, the plain ones when tool calls begin."""
        index = int(choice.get("index") or 0)
        over = bool(choice.get("finish_reason"))
        for key in [k for k in self._open if k[0] == index and (over or k[1] != "tool")]:
            rest = await self._open.pop(key).flush()
            if not rest:
                continue
            if "message" in choice:
                _append(choice, key, rest)
            else:
                yield chunk_like(body, index, _delta(key, self._early(body, index, key) + rest))

    @staticmethod
    def _early(body: Json, index: int, key: TextKey) -> str:
        """Text of the same kind that this very chunk still carries: it goes before the rest."""
        for slot in slots(body):
            if (slot.choice, slot.channel, slot.key) == (index, key[1], key[2]):
                text, slot.text = slot.text, ""
                return text
        return ""

    def _refusal(self, stop: Stopped, body: Json) -> Json:
        self._ctx.refused = True
        self._reply.facts.finish_reasons = ["content_filter"]
        if stop.as_error:
            raise blocked(stop)
        if not self._reply.stream:
            refusal = whole(self._ctx.call_id, self._ctx.asked_model, stop.text, "content_filter")
            return {**refusal, "usage": body.get("usage", refusal["usage"])}
        delta: Json = {} if self._sent else {"role": "assistant", "content": stop.text}
        return chunk_like(body, 0, delta, "content_filter")


def _append(choice: Json, key: TextKey, rest: str) -> None:
    holder = part(choice)
    if key[1] != "tool":
        holder[key[2]] = f"{holder.get(key[2]) or ''}{rest}"
        return
    for position, call in enumerate(holder.get("tool_calls") or ()):
        if f"tool {tool_number(call, position)}" == key[2]:
            function = call["function"]
            function["arguments"] = f"{function.get('arguments') or ''}{rest}"


def _delta(key: TextKey, text: str) -> Json:
    if key[1] != "tool":
        return {key[2]: text}
    number = int(key[2].removeprefix("tool "))
    return {"tool_calls": [{"index": number, "function": {"arguments": text}}]}
