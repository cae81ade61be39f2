"""Cache read: sets the reply, so that only `route` is skipped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import orjson

from headgate_core.context import Context
from headgate_core.ports import Cache
from headgate_gateway.chunks import reply_of, wants_usage
from headgate_gateway.plan import RoutePlan

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
        ctx.cache_key = self._key(ctx)
        found = self.cache.get(ctx.cache_key)
        ctx.cache = "hit" if found is not None else "miss"
        if found is not None:
            body = {**found, "id": f"chatcmpl-{ctx.call_id}"}
            include_usage = wants_usage(ctx.request)
            ctx.reply = reply_of(body, stream=ctx.stream, include_usage=include_usage)

    def _key(self, ctx: Context) -> str:
        asked = {k: v for k, v in ctx.request.items() if k not in _NOT_THE_QUESTION}
        question = [
            self.scope,
            ctx.payer.tenant,
            sorted(ctx.payer.groups),
            ctx.prompt,
            ctx.messages or ctx.request["messages"],
            [[p.id, p.text] for p in ctx.passages],
            {**asked, **ctx.parameters},
        ]
        return hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).hexdigest()
