"""Cache read: sets the reply, so that only `route` is skipped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.near import NearCache
from headgate_core.ports import Cache
from headgate_core.types import Json
from headgate_gateway.plan import RoutePlan
from headgate_gateway.questions import question_of
from headgate_gateway.replies.chunks import reply_of, wants_usage

_NOT_THE_QUESTION = frozenset({"model", "messages", "stream", "stream_options", "user", "metadata"})
"""Body members that do not change the answer."""


@dataclass(slots=True)
class Recall:
    """Looks the rendered call up; tenant, groups, route and policies are always in the key."""

    name: ClassVar[str] = "recall"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    cache: Cache
    scope: str

    @classmethod
    def compile(cls, plan: RoutePlan) -> Recall | None:
        """Only where the route has a cache."""
        if plan.cache is None:
            return None
        return cls(plan.cache, f"{plan.hash}|{plan.guards.version if plan.guards else ''}")

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.cache_key`` and, on a hit, ``ctx.reply``."""
        question = question_of(ctx.request["messages"])
        if question is not None and isinstance(self.cache, NearCache):
            rest = [ctx.inputs, question.rest]
            ctx.cache_key = self._key(ctx, rest)
            found = await self._nearest(ctx, self.cache, question.text)
        else:
            ctx.cache_key = self._key(ctx, ctx.messages or ctx.request["messages"])
            found = self.cache.get(ctx.cache_key)
        ctx.cache = "hit" if found is not None else "miss"
        if found is not None:
            body = {**found, "id": f"chatcmpl-{ctx.call_id}"}
            include_usage = wants_usage(ctx.request)
            ctx.reply = reply_of(body, stream=ctx.stream, include_usage=include_usage)

    async def _nearest(self, ctx: Context, cache: NearCache, text: str) -> Json | None:
        try:
            nearest = await cache.find(ctx.cache_key, text, ctx.payer)
        except HeadgateError as error:
            ctx.degraded.append(f"recall: {error.message}")
            return None
        if nearest is None:
            return None
        ctx.cache_similarity = round(nearest.similarity, 4)
        ctx.cache_nearest = nearest.call_id
        return nearest.value

    def _key(self, ctx: Context, asked: Any) -> str:
        members = {k: v for k, v in ctx.request.items() if k not in _NOT_THE_QUESTION}
        question = [
            self.scope,
            ctx.payer.tenant,
            sorted(ctx.payer.groups),
            ctx.prompt,
            asked,
            [[p.id, p.text] for p in ctx.passages],
            {**members, **ctx.parameters},
        ]
        return hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).hexdigest()
