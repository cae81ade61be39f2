"""OpenAI chat bodies, whole and in chunks: where their text is, and how to make our own."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from headgate_core.reply import Chunk, Done, Event, Facts, Raw, Reply
from headgate_core.types import Json, Usage

Channel: TypeAlias = Literal["content", "reasoning", "refusal", "tool"]


@dataclass(slots=True)
class Slot:
    """One text inside a body: read and write ``text`` where it stands."""

    choice: int
    channel: Channel
    key: str
    """Tells apart several texts of one channel, e.g. the tool call's index."""
    _holder: dict[str, Any]
    _member: str

    @property
    def text(self) -> str:
        """The text as it stands."""
        value = self._holder[self._member]
        return value if isinstance(value, str) else ""

    @text.setter
    def text(self, value: str) -> None:
        self._holder[self._member] = value


_TEXT_MEMBERS: tuple[tuple[str, Channel], ...] = (
    ("content", "content"),
    ("reasoning_content", "reasoning"),
    ("reasoning", "reasoning"),
    ("refusal", "refusal"),
)


def part(choice: Json) -> Json:
    """The ``delta`` of a streamed choice or the ``message`` of a whole one."""
    found = choice.get("delta") or choice.get("message")
    return found if isinstance(found, dict) else {}


def slots(body: Json) -> Iterator[Slot]:
    """Every non-empty text of the body's choices."""
    for choice in body.get("choices") or ():
        index = int(choice.get("index") or 0)
        holder = part(choice)
        for member, channel in _TEXT_MEMBERS:
            if isinstance(holder.get(member), str) and holder[member]:
                yield Slot(index, channel, member, holder, member)
        for position, call in enumerate(holder.get("tool_calls") or ()):
            function = call.get("function") or {}
            if isinstance(function.get("arguments"), str) and function["arguments"]:
                key = f"tool {tool_number(call, position)}"
                yield Slot(index, "tool", key, function, "arguments")


def tool_number(call: Json, position: int) -> int:
    """The index of a tool call; servers that leave it out or null mean its position."""
    index = call.get("index")
    return index if isinstance(index, int) else position


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


def finishes(body: Json) -> list[Json]:
    """The choices of this body that state a ``finish_reason``."""
    return [c for c in body.get("choices") or () if c.get("finish_reason")]


def usage_of(usage: Json) -> Usage:
    """The ``usage`` member of an OpenAI body as ``Usage``; absent numbers count as 0."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=int(usage.get("prompt_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
        cached_input_tokens=int(prompt.get("cached_tokens") or 0),
        reasoning_tokens=int(completion.get("reasoning_tokens") or 0),
    )


def observe(facts: Facts, body: Json) -> None:
    """Read beside the path what the record needs. The last usage wins; it is never added up."""
    if body.get("usage"):
        facts.usage = usage_of(body["usage"])
    facts.model = facts.model or body.get("model") or ""
    facts.response_id = facts.response_id or body.get("id") or ""
    for choice in body.get("choices") or ():
        if choice.get("finish_reason"):
            facts.finish_reasons.append(choice["finish_reason"])
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
    message = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
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
        index = int(choice.get("index") or 0)
        message = dict(choice.get("message") or {})
        yield chunk_like(body, index, {"role": message.pop("role", "assistant"), "content": ""})
        for position, call in enumerate(message.get("tool_calls") or ()):
            call.setdefault("index", position)
        yield chunk_like(body, index, message)
        yield chunk_like(body, index, {}, choice.get("finish_reason") or "stop")
    if include_usage and body.get("usage"):
        yield {**chunk_like(body, 0, {}), "choices": [], "usage": body["usage"]}


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
