"""Checks on the reply, streams included: nothing leaves before it is cleared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.errors import Internal
from headgate_core.ports import Guards, Stopped
from headgate_core.reply import Chunk, Done, Events, Raw, Reply, close_events, closing
from headgate_core.types import Json, Usage
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.chunks import (
    chunk_like,
    finishes,
    has_content,
    usage_chunk,
    wants_choices,
    wants_usage,
    whole,
)
from headgate_gateway.replies.clearing import Clearing
from headgate_gateway.replies.refusal import blocked
from headgate_gateway.replies.sieve import Sieve
from headgate_gateway.replies.texts import number, part

MOST_CHOICES = 128
"""Answers to one call that a refusal finishes; no upstream gives more."""


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
        guarded = _Guarded(self.guards, ctx, ctx.reply)
        ctx.reply = replace(ctx.reply, events=guarded.events())


class _Guarded:
    """One reply on its way through the checks."""

    def __init__(self, guards: Guards, ctx: Context, reply: Reply) -> None:
        self._ctx = ctx
        self._reply = reply
        own = {"id": f"chatcmpl-{ctx.call_id}", "model": ctx.asked_model}
        sieve = Sieve(guards, ctx.verdicts, ctx.dropped, own)
        self._clearing = Clearing(guards, sieve, ctx.verdicts, stream=reply.stream)
        self._asked = min(MOST_CHOICES, wants_choices(ctx.request))
        self._spoken: set[int] = set()
        """Choices of which content has gone out."""
        self._last: Json = {}
        """The chunk that went out last: what comes after it has its id, time and model."""
        self._seen: dict[int, bool] = {}
        """Choices that have begun, in order, and whether each has finished."""

    async def events(self) -> Events:
        """What may go out. A block ends the reply well-formed, and the upstream with it."""
        async with closing(self._reply.events) as events:
            try:
                async for body in self._cleared(events):
                    self._note(body)
                    yield Chunk(body)
            except Stopped as stop:
                await self._upstream_over()
                refusal = self._refusal(stop)
                yield Chunk(refusal)
                if self._reply.stream and wants_usage(self._ctx.request):
                    yield Chunk(usage_chunk(refusal, self._spent()))
        yield Done()

    async def _cleared(self, events: Events) -> AsyncIterator[Json]:
        async for event in events:
            if isinstance(event, Raw):
                raise Internal("A guarded reply must be parsed before it is checked.")
            if isinstance(event, Chunk):
                body = await self._clearing.clear(event.body)
                if body is not None:
                    yield body
        async for rest in self._clearing.rest():
            yield rest

    def _note(self, body: Json) -> None:
        self._last = body
        for choice in body.get("choices") or ():
            self._seen.setdefault(number(choice), False)
            if has_content({"choices": [choice]}):
                self._spoken.add(number(choice))
        for choice in finishes(body):
            self._seen[number(choice)] = True

    async def _upstream_over(self) -> None:
        """Have the attempt settled: a whole reply is read to its end, a stream is cut off."""
        if not self._reply.stream:
            async for _ in self._reply.events:
                pass
        await close_events(self._reply.events)

    def _spent(self) -> Usage:
        """What the attempts used, all of them settled by now."""
        told = [a["usage"] for a in self._ctx.attempts if a["usage"] is not None]
        return sum((Usage(**usage) for usage in told), Usage())

    def _refusal(self, stop: Stopped) -> Json:
        ctx, facts = self._ctx, self._reply.facts
        ctx.refused = True
        facts.finish_reasons = ["content_filter"]
        if stop.as_error:
            raise blocked(stop)
        refusal = whole(ctx.call_id, facts.model or ctx.asked_model, stop.text, "content_filter")
        if not self._reply.stream:
            if facts.usage is not None:
                refusal["usage"] = usage_chunk(refusal, facts.usage)["usage"]
            return refusal
        return self._ends(refusal)

    def _ends(self, refusal: Json) -> Json:
        """The chunk that finishes every choice asked for; those that said nothing yet refuse."""
        for index in range(self._asked):
            self._seen.setdefault(index, False)
        chunk = chunk_like({**refusal, **self._last}, 0, {})
        chunk["choices"] = [
            {
                "index": index,
                "delta": {} if index in self._spoken else dict(part(refusal["choices"][0])),
                "finish_reason": "content_filter",
            }
            for index, finished in self._seen.items()
            if not finished
        ]
        return chunk
