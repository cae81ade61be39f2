"""What hosted providers send in their own dialects: bodies made here, and how to read any."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from replay import json_events

Json = dict[str, Any]

WORDS = ("Grüß ", "dich, ", "日本 ", "🙂!")
TEXT = "".join(WORDS)
READ, WRITTEN = 21, 9
"""Tokens in and out of the bodies made here."""


def _data(body: Json) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def _named(body: Json) -> bytes:
    return b"event: " + str(body["type"]).encode() + b"\n" + _data(body)


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text


def frame(kind: str, body: Json, message: str = "event") -> bytes:
    """One frame of Amazon's event stream."""
    head = _header(f":{message}-type", kind) + _header(":content-type", "application/json")
    head += _header(":message-type", message)
    payload = json.dumps(body).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return start + struct.pack(">I", zlib.crc32(start))


def frames(data: bytes) -> Iterator[tuple[int, Json]]:
    """Where each whole frame ends, and its payload."""
    at = 0
    while at + 12 <= len(data):
        size, head = struct.unpack(">II", data[at : at + 8])
        if at + size > len(data):
            return
        body = json.loads(data[at + 12 + head : at + size - 4])
        at += size
        inner = body.get("bytes")
        yield at, json.loads(base64.b64decode(inner)) if inner else body


def _openai_stream(usage: Json) -> bytes:
    def chunk(**members: Any) -> bytes:
        own = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return _data(own | members)

    def part(delta: Json, reason: str | None = None) -> Json:
        return {"index": 0, "delta": delta, "finish_reason": reason}

    told = [chunk(choices=[part({"role": "assistant", "content": word})]) for word in WORDS]
    told += [chunk(choices=[part({}, "stop")]), chunk(choices=[], usage=usage)]
    return b"".join([*told, b"data: [DONE]\n\n"])


def _openai_whole(usage: Json) -> Json:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    own = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return {**own, "choices": [choice], "usage": usage}


def _anthropic_stream(usage: Json) -> bytes:
    message = {**_anthropic_whole(usage), "content": [], "stop_reason": None}
    message["usage"] = {**usage, "output_tokens": 1}
    block = {"type": "text", "text": ""}
    events: list[Json] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    for word in WORDS:
        delta = {"type": "text_delta", "text": word}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": usage},
        {"type": "message_stop"},
    ]
    return b"".join(_named(event) for event in events)


def _anthropic_whole(usage: Json) -> Json:
    own = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5"}
    content = [{"type": "text", "text": TEXT}]
    return {**own, "content": content, "stop_reason": "end_turn", "usage": usage}


def _gemini(text: str, **beside: Any) -> Json:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"content": content, "index": 0, **beside}


def _gemini_stream(usage: Json) -> bytes:
    sofar = {"promptTokenCount": usage["promptTokenCount"], "totalTokenCount": 1}
    told: list[Json] = [
        {"candidates": [_gemini(w)], "usageMetadata": sofar, "modelVersion": "gemini-2.5-flash"}
        for w in WORDS
    ]
    told[-1] = {"candidates": [_gemini(WORDS[-1], finishReason="STOP")], "usageMetadata": usage}
    return b"".join(_data(body).replace(b"\n", b"\r\n") for body in told)


def _gemini_whole(usage: Json) -> Json:
    return {"candidates": [_gemini(TEXT, finishReason="STOP")], "usageMetadata": usage}


def _bedrock_stream(usage: Json) -> bytes:
    told = [frame("messageStart", {"role": "assistant"})]
    for word in WORDS:
        body = {"contentBlockIndex": 0, "delta": {"text": word}}
        told.append(frame("contentBlockDelta", body))
    told.append(frame("contentBlockStop", {"contentBlockIndex": 0}))
    told.append(frame("messageStop", {"stopReason": "end_turn"}))
    told.append(frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}))
    return b"".join(told)


def _bedrock_whole(usage: Json) -> Json:
    message = {"role": "assistant", "content": [{"text": TEXT}]}
    output = {"output": {"message": message}, "metrics": {"latencyMs": 1}}
    return {**output, "stopReason": "end_turn", "usage": usage}


def _cohere_stream(usage: Json) -> bytes:
    told: list[Json] = [
        {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant"}}}
    ]
    for word in WORDS:
        delta = {"message": {"content": {"text": word}}}
        told.append({"type": "content-delta", "index": 0, "delta": delta})
    ending = {"finish_reason": "COMPLETE", "usage": usage}
    told += [{"type": "content-end", "index": 0}, {"type": "message-end", "delta": ending}]
    return b"".join(_named(event) for event in told) + b"data: [DONE]\n\n"


def _cohere_whole(usage: Json) -> Json:
    message = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
    return {"id": "1", "message": message, "finish_reason": "COMPLETE", "usage": usage}


def _openai_text(data: bytes) -> str:
    choices = [c for e in json_events(data) for c in e.get("choices") or () if not c.get("index")]
    told = [(c.get("delta") or {}).get("content") for c in choices]
    return "".join(t for t in told if isinstance(t, str))


def _anthropic_text(data: bytes) -> str:
    deltas = [e.get("delta") or {} for e in json_events(data)]
    return "".join(d.get("text", "") for d in deltas)


def _gemini_text(data: bytes) -> str:
    found = [c for e in json_events(data) for c in e.get("candidates") or ()]
    parts = [p for c in found for p in (c.get("content") or {}).get("parts") or ()]
    return "".join(p.get("text", "") for p in parts if not p.get("thought"))


def _bedrock_text(data: bytes) -> str:
    bodies = [body.get("contentBlockDelta", body) for _, body in frames(data)]
    return "".join((b.get("delta") or {}).get("text") or "" for b in bodies)


def _cohere_text(data: bytes) -> str:
    told = [e["delta"]["message"] for e in json_events(data) if e["type"] == "content-delta"]
    return "".join(message["content"].get("text", "") for message in told)


@dataclass(frozen=True)
class Dialect:
    """One provider's wire: ``end`` stands in the event with which it ends an answer."""

    name: str
    model: str
    usage: Json
    stream: Callable[[Json], bytes]
    whole: Callable[[Json], Json]
    text: Callable[[bytes], str]
    end: bytes
    content_type: str = "text/event-stream"
    closed: bytes = b""
    """What follows the end and makes it final; the connection may break afterwards."""

    def __repr__(self) -> str:
        return self.name

    def begun(self, data: bytes) -> int:
        """Up to how many bytes of a stream it has not ended, whatever they look like."""
        return data.rfind(self.end)


_OPENAI = {"prompt_tokens": READ, "completion_tokens": WRITTEN, "total_tokens": READ + WRITTEN}
DIALECTS = (
    Dialect("openai", "openai/gpt-4.1-mini", _OPENAI,
            _openai_stream, _openai_whole, _openai_text, b'"finish_reason"', closed=b"[DONE]"),
    Dialect("mistral", "mistral/mistral-small-latest", _OPENAI,
            _openai_stream, _openai_whole, _openai_text, b'"finish_reason"', closed=b"[DONE]"),
    Dialect("anthropic", "anthropic/claude-haiku-4-5",
            {"input_tokens": READ - 4, "cache_read_input_tokens": 4, "output_tokens": WRITTEN},
            _anthropic_stream, _anthropic_whole, _anthropic_text, b"message_delta",
            closed=b"message_delta"),
    Dialect("gemini", "gemini/gemini-2.5-flash",
            {"promptTokenCount": READ, "candidatesTokenCount": WRITTEN - 3,
             "thoughtsTokenCount": 3, "totalTokenCount": READ + WRITTEN},
            _gemini_stream, _gemini_whole, _gemini_text, b'"finishReason"'),
    Dialect("bedrock", "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            {"inputTokens": READ, "outputTokens": WRITTEN, "totalTokens": READ + WRITTEN},
            _bedrock_stream, _bedrock_whole, _bedrock_text, b"messageStop",
            "application/vnd.amazon.eventstream"),
    Dialect("cohere", "cohere_chat/command-r-plus-08-2024",
            {"tokens": {"input_tokens": READ, "output_tokens": WRITTEN}},
            _cohere_stream, _cohere_whole, _cohere_text, b'"message-end"', closed=b"[DONE]"),
)  # fmt: skip
