"""What the caller learns about the call: response headers and the ``headgate`` member."""

from __future__ import annotations

from collections.abc import Iterator

from headgate_core.context import Context
from headgate_core.money import usd_text
from headgate_core.types import Json
from headgate_gateway.replies.chunks import chunk_like, finishes
from headgate_gateway.stages.record import citation_record, target_of


def reply_headers(ctx: Context, *, settled: bool = False) -> dict[str, str]:
    """The ``x-headgate-*`` headers; the cost only once the call is settled (not on streams).

    A stream that begins with a keep-alive comment has no answer yet, and so no target to name.
    """
    headers = {"x-request-id": ctx.call_id}
    if ctx.reply is not None or ctx.error is not None:  # else another target may still answer
        headers["x-headgate-target"] = target_of(ctx)
        headers["x-headgate-attempts"] = str(len(ctx.attempts))
        headers["x-headgate-cache"] = ctx.cache
    if ctx.replayed:
        headers["idempotency-replayed"] = "true"
    if ctx.prompt:
        headers["x-headgate-prompt"] = ctx.prompt
    if ctx.dropped:
        headers["x-headgate-dropped"] = ", ".join(ctx.dropped)
    if settled and not ctx.unpriced:
        headers["x-headgate-cost-usd"] = usd_text(ctx.cost_pico)
    return headers


def meta(ctx: Context) -> Json:
    """The ``headgate`` member of a body."""
    guardrails = [
        {
            "policy": v.policy,
            "check": v.check,
            "at": v.at,
            "action": v.action,
            "mode": v.mode,
            "kinds": list(v.kinds),
        }
        for v in ctx.verdicts
    ]
    return {
        "call_id": ctx.call_id,
        "citations": [citation_record(c) for c in ctx.citations],
        "guardrails": guardrails,
        "target": target_of(ctx),
        "cost_usd": None if ctx.unpriced else usd_text(ctx.cost_pico),
        **({"degraded": ctx.degraded} if ctx.degraded else {}),
        **({"dropped": ctx.dropped} if ctx.dropped else {}),
    }


def with_meta(ctx: Context, body: Json) -> Json:
    """The body with its ``headgate`` member; other members stay as they are."""
    return {**body, "headgate": meta(ctx)}


class Finale:
    """Holds a stream's finish chunk, and what follows it, until the call is settled."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._held: list[Json] = []
        self._usage: list[Json] = []
        """What comes last of all, also where texts were held back longer."""
        self._like: Json = {}

    def pass_on(self, body: Json) -> Iterator[Json]:
        """What may go out now."""
        choices = body.get("choices")
        self._like = body
        if not choices and body.get("usage"):
            self._usage.append(body)
            return
        if finishes(body) or (self._held and not choices):
            self._held.append(body)
            return
        yield from self._released()
        yield body

    def close(self) -> Iterator[Json]:
        """The held chunks, the last finish chunk with the ``headgate`` member.

        A stream that was complete without one gets a chunk for it, which says no reason either.
        """
        last = max((i for i, b in enumerate(self._held) if finishes(b)), default=None)
        if last is None:
            self._held.insert(0, chunk_like(self._like, 0, {}))
            last = 0
        self._held[last] = with_meta(self._ctx, self._held[last])
        yield from self._released()
        yield from self._usage

    def _released(self) -> Iterator[Json]:
        held, self._held = self._held, []
        yield from held
