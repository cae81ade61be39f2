"""Cache write: what was delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.errors import Internal
from headgate_core.near import NearCache
from headgate_core.ports import Cache
from headgate_core.reply import Chunk, Done, Events, Reply, closing
from headgate_core.types import Json
from headgate_gateway.plan import RoutePlan
from headgate_gateway.questions import question_of
from headgate_gateway.replies.chunks import finishes, whole
from headgate_gateway.replies.texts import part


@dataclass(slots=True)
class Remember:
    """Stores a complete, unrefused text answer under the key that ``recall`` computed."""

    name: ClassVar[str] = "remember"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    cache: Cache

    @classmethod
    def compile(cls, plan: RoutePlan) -> Remember | None:
        """Only where the route has a cache."""
        return cls(plan.cache) if plan.cache is not None else None

    async def run(self, ctx: Context) -> None:
        """Wrap ``ctx.reply`` unless it came from the cache itself."""
        if ctx.reply is None:
            raise Internal("There is no reply to remember.")
        if ctx.cache == "miss":
            ctx.reply = replace(ctx.reply, events=self._kept(ctx, ctx.reply))

    async def _kept(self, ctx: Context, reply: Reply) -> Events:
        keep, ended = True, False
        async with closing(reply.events) as events:
            async for event in events:
                if isinstance(event, Chunk):
                    keep = keep and self._plain(event.body, len(ctx.citations))
                    ended = ended or bool(finishes(event.body))
                elif isinstance(event, Done) and keep and ended and not ctx.refused and ctx.answer:
                    model = reply.facts.model or ctx.asked_model
                    await self._keep(ctx, whole("", model, ctx.answer, "stop"))
                yield event

    async def _keep(self, ctx: Context, body: Json) -> None:
        question = question_of(ctx.request["messages"])
        if question is not None and isinstance(self.cache, NearCache):
            await self.cache.keep(ctx.cache_key, question.text, body, ctx.call_id)
        else:
            self.cache.put(ctx.cache_key, body)

    @staticmethod
    def _plain(body: Json, cited: int) -> bool:
        """Whether it holds text alone, all that a hit can say again, and no end but ``stop``."""
        return all(c["finish_reason"] == "stop" for c in finishes(body)) and all(
            int(c.get("index") or 0) == 0 and not c.get("logprobs") and _text_alone(part(c), cited)
            for c in body.get("choices") or ()
        )


def _text_alone(message: Json, cited: int) -> bool:
    """The annotations of our own citations are made anew for a hit; others are not."""
    annotations = message.get("annotations") or ()
    rest = (v for k, v in message.items() if k not in ("role", "content", "annotations"))
    content = message.get("content")
    return not any(rest) and len(annotations) <= cited and (not content or type(content) is str)
