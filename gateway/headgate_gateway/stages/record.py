"""Last: the call's record, written before the reply's last byte; hand-over to what listens."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.endpoints import kind_of
from headgate_core.errors import Internal
from headgate_core.records import (
    CallRecord,
    CitationRecord,
    Content,
    PassageRecord,
    VerdictRecord,
    usage_record,
)
from headgate_core.types import Citation, Passage, Verdict
from headgate_gateway.forwarded import texts
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.chunks import message_text

log = logging.getLogger("headgate.record")

HUNG_UP = 499
"""The status of a call whose caller went away; nobody ever receives it."""


@dataclass(slots=True)
class Record:
    """Builds the record, appends it to the journal with one write, and tells the hooks."""

    name: ClassVar[str] = "record"
    last: ClassVar[bool] = True
    reenter: ClassVar[bool] = False
    plan: RoutePlan

    @classmethod
    def compile(cls, plan: RoutePlan) -> Record:
        """Every route has it."""
        return cls(plan)

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.record``. Raises ``StoreError`` when the journal cannot be written."""
        ctx.record = self._record(ctx)
        content = await self._content(ctx)
        if content is not None:
            ctx.record["content"] = content
        self.plan.parts.journal({"t": "call", "call": ctx.record})
        for hook in self.plan.parts.hooks:
            try:
                hook(ctx)
            except Exception:  # scoring and telemetry may fail, calls may not
                log.exception("call %s: a record hook failed", ctx.call_id)

    def _record(self, ctx: Context) -> CallRecord:
        who = ctx.principal
        answered = [a for a in ctx.attempts if a["outcome"] == "ok"]
        first = ctx.first_content_ns
        record: CallRecord = {
            "call_id": ctx.call_id,
            "trace_id": ctx.trace_id,
            "parent_span_id": ctx.parent_span_id,
            "source": ctx.source,
            "route": self.plan.name,
            "asked_model": ctx.asked_model,
            "config_hash": self.plan.parts.settings.hash,
            "key_id": who.key_id if who else "",
            "key_name": who.name if who else "",
            "team": who.team if who else "",
            "tenant": who.tenant if who else "",
            "session": ctx.session,
            "user": ctx.user,
            "tags": list(ctx.tags),
            "started_unix_ns": ctx.started_unix_ns,
            "duration_ms": ctx.elapsed_ms(),
            "first_token_ms": (first - ctx.started_ns) / 1e6 if first and ctx.stream else None,
            "stream": ctx.stream,
            "status": status_of(ctx),
            "outcome": outcome_of(ctx),
            "error_code": ctx.error.error_code if ctx.error else "",
            "error_message": ctx.error.message if ctx.error else "",
            "finish_reason": _finish_reason(ctx),
            "prompt": ctx.prompt,
            "cache": ctx.cache,
            "target": target_of(ctx) if answered else "",
            "usage": usage_record(ctx.usage),
            "cost_pico": ctx.cost_pico,
            "unpriced": ctx.unpriced,
            "capture": self.plan.capture,
            # Copies: what is exported later must be what the journal got.
            "degraded": list(ctx.degraded),
            "dropped": list(ctx.dropped),
            "stages": list(ctx.stages),
            "attempts": list(ctx.attempts),
            "verdicts": [_verdict(v) for v in ctx.verdicts],
            "passages": [_passage(n, p) for n, p in enumerate(ctx.passages, 1)],
            "citations": [citation_record(c) for c in ctx.citations],
            "endpoint": ctx.endpoint,
        }
        if ctx.cache_similarity is not None:
            record["cache_similarity"] = ctx.cache_similarity
            record["cache_nearest"] = ctx.cache_nearest
        if ctx.replayed:
            record["replayed"] = ctx.replayed
        if record["status"] == HUNG_UP:
            record["cancelled_in"] = phase_of(ctx)
            log.info("call %s: its caller hung up (%s)", ctx.call_id, record["cancelled_in"])
        return record

    async def _content(self, ctx: Context) -> Content | None:
        """What the guards let through; with ``masked``, personal data and secrets masked first.

        Texts of callers who were not admitted, and of calls that a guard blocked, are never kept.
        """
        if self.plan.capture == "none":
            return None
        messages = _asked(ctx) if ctx.may_capture else []
        passages = [p.text for p in ctx.passages]
        answer = ctx.answer
        masker = self.plan.masker
        if self.plan.capture == "masked":
            if masker is None:
                raise Internal("The route captures masked text and has no masker.")
            for message in messages:
                message["content"] = await masker.mask(message["content"])
            answer = await masker.mask(answer)
            passages = [await masker.mask(text) for text in passages]
        return {"messages": [dict(m) for m in messages], "answer": answer, "passages": passages}


def _asked(ctx: Context) -> list[dict[str, str]]:
    if kind_of(ctx.endpoint) != "chat":
        return [{"role": "user", "content": one.text} for one in texts(ctx.request)]
    messages = ctx.request["messages"]
    return [{"role": str(m.get("role", "")), "content": message_text(m)} for m in messages]


def outcome_of(ctx: Context) -> str:
    """ok | refused | error | cancelled"""
    if ctx.refused:
        return "refused"
    if ctx.error is not None:
        return "error"
    return "cancelled" if ctx.cancelled else "ok"


def status_of(ctx: Context) -> int:
    """The HTTP status, 499 for a caller who hung up."""
    if ctx.error is not None:
        return ctx.error.http_status
    return HUNG_UP if ctx.cancelled else 200


def phase_of(ctx: Context) -> str:
    """Where the call was when its caller hung up: one of the four phases of a cancellation."""
    if not ctx.attempts and ctx.reply is None:
        return "queued"
    if not ctx.stream:
        return "whole_reply"
    return "mid_stream" if ctx.first_content_ns else "before_first_byte"


def target_of(ctx: Context) -> str:
    """``provider/model`` that answered, else that was tried last; empty without attempts."""
    if ctx.answered_by or not ctx.attempts:
        return ctx.answered_by
    last = ctx.attempts[-1]
    return f"{last['provider']}/{last['model']}"


def citation_record(citation: Citation) -> CitationRecord:
    """A citation as the reply's ``headgate`` member and the record show it."""
    return {
        "number": citation.number,
        "passage_id": citation.passage_id,
        "document": citation.document,
        "title": citation.title,
        "heading": list(citation.heading),
        "start": citation.start,
        "end": citation.end,
        "url": citation.url,
        "at": list(citation.at),
    }


def _finish_reason(ctx: Context) -> str:
    reasons = ctx.reply.facts.finish_reasons if ctx.reply else []
    return reasons[-1] if reasons else ""


def _verdict(verdict: Verdict) -> VerdictRecord:
    return {
        "policy": verdict.policy,
        "check": verdict.check,
        "at": verdict.at,
        "action": verdict.action,
        "mode": verdict.mode,
        "kinds": list(verdict.kinds),
        "subject": verdict.subject,
        "ms": verdict.ms,
        "error": verdict.error,
    }


def _passage(number: int, passage: Passage) -> PassageRecord:
    return {
        "number": number,
        "id": passage.id,
        "document": passage.document,
        "heading": list(passage.heading),
        "start": passage.start,
        "end": passage.end,
        "scores": dict(passage.scores),
        "collection": passage.collection,
    }
