"""From a finished call to what metrics look at; shared by online scoring and the suite runner."""

from __future__ import annotations

from headgate_core.context import Context
from headgate_core.errors import Blocked
from headgate_core.types import Json, Sample


def make_sample(ctx: Context, reference: str | None = None) -> Sample:
    """The sample of a finished call. Texts are shared with ``ctx``, nothing is copied."""
    total_s, first_token_s = _times(ctx)
    return Sample(
        call_id=ctx.call_id,
        route=ctx.route,
        question=ctx.query or _last_user_text(ctx),
        answer=_answer(ctx),
        passages=tuple(ctx.passages),
        cited=tuple(ctx.cited),
        reference=reference,
        refused=was_refused(ctx),
        failed=has_failed(ctx),
        total_s=total_s,
        first_token_s=first_token_s,
        cost_pico=None if ctx.unpriced else ctx.cost_pico,
        usage=ctx.usage,
        output_tokens_per_s=_rate(ctx, total_s, first_token_s),
    )


def was_refused(ctx: Context) -> bool:
    """Whether a guard refused the call, as an answer or as an error."""
    return ctx.refused or isinstance(ctx.error, Blocked)


def has_failed(ctx: Context) -> bool:
    """Whether the call broke off: an error other than a guard's refusal, or a caller's hang-up."""
    return ctx.cancelled or (ctx.error is not None and not isinstance(ctx.error, Blocked))


def _answer(ctx: Context) -> str | None:
    """None where text passed by unread: the route has no stage that looks at it."""
    passed_by = ctx.reply is not None and ctx.reply.facts.content and not ctx.passages
    return None if passed_by and not ctx.answer else ctx.answer


def _times(ctx: Context) -> tuple[float, float | None]:
    """Seconds of the whole call, and until the first token where the reply was streamed."""
    if ctx.record is not None:
        total_ms, first_ms = ctx.record["duration_ms"], ctx.record["first_token_ms"]
    else:
        total_ms = ctx.elapsed_ms()
        first_ms = (ctx.first_content_ns - ctx.started_ns) / 1e6 if ctx.first_content_ns else None
    return total_ms / 1e3, first_ms / 1e3 if ctx.stream and first_ms is not None else None


def _rate(ctx: Context, total_s: float, first_token_s: float | None) -> float | None:
    """Output tokens per second after the first one; None where there are not two of them."""
    tokens = ctx.usage.output_tokens
    if first_token_s is None or tokens < 2 or total_s <= first_token_s:
        return None
    return (tokens - 1) / (total_s - first_token_s)


def _last_user_text(ctx: Context) -> str | None:
    messages: list[Json] = ctx.request.get("messages") or []
    for message in reversed(messages):
        if message.get("role") == "user":
            return _text(message.get("content"))
    return None


def _text(content: object) -> str | None:
    """The text of a message: a string, or the text parts of a list joined by line ends."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str)) or None
