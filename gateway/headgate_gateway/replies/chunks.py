"""OpenAI chat bodies, whole and in chunks: where their text is, and how to make our own."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson

from headgate_core.errors import UpstreamMalformed
from headgate_core.reply import Chunk, Done, Event, Facts, Raw, Reply
from headgate_core.types import Json, Usage
from headgate_gateway.replies.completion_shape import require_shape
from headgate_gateway.replies.flat_texts import pieces
from headgate_gateway.replies.repeated import drop_repeated
from headgate_gateway.replies.texts import number, part, slots
from headgate_gateway.replies.tiers import served_tier


def has_content(body: Json) -> bool:
    """Whether the body carries any content: text, reasoning, a tool call, audio."""
    for choice in body.get("choices") or ():
        holder = part(choice)
        if any(holder.get(m) for m in ("content", "reasoning_content", "reasoning", "refusal")):
            return True
        if holder.get("tool_calls") or holder.get("function_call") or holder.get("audio"):
            return True
        if isinstance(choice.get("text"), str) and choice["text"]:
            return True
    return False


def carries_content(event: Event, facts: Facts) -> bool:
    """Whether an event on its way out brings content to the caller."""
    if isinstance(event, Chunk):
        return has_content(event.body)
    return isinstance(event, Raw) and facts.content


def finishes(body: Json) -> list[Json]:
    """The choices of this body that state a ``finish_reason``."""
    return [c for c in body.get("choices") or () if c.get("finish_reason")]


MOST_TOKENS = 2**53
"""No reply has more tokens than this: what claims to is not to be believed."""


def usage_of(usage: Any) -> Usage:
    """The ``usage`` member of an OpenAI body as ``Usage``; absent numbers count as 0.

    So do numbers that no reply can have, money hangs on them: the rest is an estimate then.
    """
    prompt = _details(usage, "prompt_tokens_details")
    completion = _details(usage, "completion_tokens_details")
    kept = _details(prompt, "cache_creation_token_details") or _details(usage, "cache_creation")
    minutes, hour = (_tokens(kept, f"ephemeral_{time}_input_tokens") for time in ("5m", "1h"))
    kinds = [_tokens(usage, "cache_creation_input_tokens")]
    kinds += [_tokens(prompt, f"cache_{word}_tokens") for word in ("creation", "write")]
    written = max(*(n or 0 for n in kinds), (minutes or 0) + (hour or 0))
    told = {
        "input_tokens": _tokens(usage, "prompt_tokens"),
        "output_tokens": _tokens(usage, "completion_tokens"),
        "cached_input_tokens": _tokens(prompt, "cached_tokens"),
        "reasoning_tokens": _tokens(completion, "reasoning_tokens"),
        "cache_written_tokens": written,
        "cache_written_1h_tokens": hour,
        "audio_input_tokens": _tokens(prompt, "audio_tokens"),
        "audio_output_tokens": _tokens(completion, "audio_tokens"),
    }
    odd = None in told.values() or None in (minutes, *kinds)
    if written > (read := told["input_tokens"] or 0):  # it is counted beside the others
        told["input_tokens"] = read + written + (told["cached_input_tokens"] or 0)
    return Usage(**{name: count or 0 for name, count in told.items()}, estimated=odd)


def counts(usage: Usage | None) -> bool:
    """Whether it counts anything."""
    return usage is not None and bool(usage.input_tokens or usage.output_tokens)


def _details(usage: Any, name: str) -> Any:
    return (usage.get(name) or {}) if isinstance(usage, dict) else {}


def _tokens(holder: Any, name: str) -> int | None:
    """None = not to be believed."""
    value = (holder.get(name) or 0) if isinstance(holder, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        return None
    return value


def observe(facts: Facts, body: Json) -> None:
    """Read beside the path what the record needs. The last usage wins; it is never added up.

    Usage is read first: the tokens of a reply that is thrown away cost money too. What ``body``
    says in a form of its own and needs not, and what a ``message`` repeats of the deltas of a
    stream, is taken out of it.
    Raises ``UpstreamMalformed`` when the body is not shaped like a chat completion.
    """
    try:
        _observe(facts, body)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise UpstreamMalformed(f"The reply is no chat completion: {error}.") from error
    except RecursionError as error:
        raise UpstreamMalformed("The reply is nested too deeply.") from error


def observe_spent(facts: Facts, body: Json) -> None:
    """The usage alone, of a reply that reports an error; one that counts nothing says nothing."""
    usage = body.get("usage")
    if isinstance(usage, dict) and counts(usage_of(usage)):
        facts.usage = usage_of(usage)


def _observe(facts: Facts, body: Json) -> None:
    if body.get("usage"):
        facts.usage = usage_of(body["usage"])
    facts.service_tier = served_tier(body) or facts.service_tier
    require_shape(body)
    drop_repeated(facts.spoken, body)
    facts.model = facts.model or body.get("model") or ""
    facts.response_id = facts.response_id or body.get("id") or ""
    for choice in body.get("choices") or ():
        if choice.get("finish_reason"):
            facts.finish_reasons.append(choice["finish_reason"])
        if isinstance(choice.get("text"), str):
            facts.output_characters += len(choice["text"])
        content = part(choice).get("content") if "delta" in choice else None
        if isinstance(content, list):
            facts.output_characters += sum(len(text) for _, text in pieces(content))
    facts.content = facts.content or has_content(body)
    facts.output_characters += sum(len(s.text) for s in slots(body))


def observed_text(event: Chunk | Raw) -> str:
    """The plain text that an event adds to choice 0; forwarded bytes are parsed for it."""
    body = event.body if isinstance(event, Chunk) else _body_of(event.data)
    return "".join(s.text for s in slots(body) if s.choice == 0 and s.channel == "content")


def _body_of(data: bytes) -> Json:
    line = next((x for x in data.splitlines() if x.startswith((b"data:", b"{"))), b"")
    try:
        body = orjson.loads(line.removeprefix(b"data:") if line[:1] == b"d" else data)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def message_text(message: Json) -> str:
    """The text of a chat message, parts joined by line ends."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [p.get("text", "") for p in content if isinstance(p, dict)]
        return "\n".join(t for t in texts if isinstance(t, str) and t)
    return ""


def whole(call_id: str, model: str, text: str, finish_reason: str) -> Json:
    """A ``chat.completion`` body of our own with one choice."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def chunk_like(body: Json, choice: int, delta: Json, finish_reason: str | None = None) -> Json:
    """A chunk with the envelope of ``body`` and one choice."""
    envelope: Json = {
        k: body[k] for k in ("id", "created", "model", "system_fingerprint") if k in body
    }
    return {
        **envelope,
        "object": "chat.completion.chunk",
        "choices": [{"index": choice, "delta": delta, "finish_reason": finish_reason}],
    }


def as_chunks(body: Json, include_usage: bool) -> Iterator[Json]:
    """A whole body as the chunks of a stream: role, text and tool calls, finish, usage."""
    for choice in body.get("choices") or ():
        index = number(choice)
        message = {k: v for k, v in (choice.get("message") or {}).items() if v is not None}
        yield chunk_like(body, index, {"role": message.pop("role", "assistant"), "content": ""})
        for position, call in enumerate(message.get("tool_calls") or ()):
            call.setdefault("index", position)
        yield chunk_like(body, index, message)
        yield chunk_like(body, index, {}, choice.get("finish_reason") or "stop")
    if include_usage and body.get("usage"):
        yield {**chunk_like(body, 0, {}), "choices": [], "usage": body["usage"]}


def usage_chunk(like: Json, usage: Usage) -> Json:
    """The chunk with the usage, for a stream whose upstream said none."""
    told = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    return {**chunk_like(like, 0, {}), "choices": [], "usage": told}


def wants_choices(request: Json) -> int:
    """How many answers the caller asked for."""
    count = request.get("n")
    return count if isinstance(count, int) else 1


def wants_usage(request: Json) -> bool:
    """Whether the caller of a stream asked for the usage chunk."""
    options = request.get("stream_options")
    return bool(isinstance(options, dict) and options.get("include_usage"))


def reply_of(body: Json, *, stream: bool, include_usage: bool = False) -> Reply:
    """A reply of our own making (a refusal, a cached answer) from a whole body."""
    reasons = [c.get("finish_reason") or "stop" for c in body.get("choices") or ()]
    facts = Facts(model=body.get("model", ""), finish_reasons=reasons, content=True)
    return Reply(stream=stream, events=_events(body, stream, include_usage), facts=facts)


async def _events(body: Json, stream: bool, include_usage: bool) -> AsyncIterator[Event]:
    if stream:
        for chunk in as_chunks(body, include_usage):
            yield Chunk(chunk)
    else:
        yield Chunk(body)
    yield Done()
