"""A chat reply as Anthropic's message, whole or as the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from headgate_core.context import Context
from headgate_core.types import Json, Usage
from headgate_gateway.http.dialects.in_turn import InTurn, Step
from headgate_gateway.http.dialects.replies import Kind, Piece, Reading, joined
from headgate_gateway.http.meta import meta
from headgate_gateway.nesting import too_deep
from headgate_gateway.sse import encode_named

_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_OWN = ("pause_turn", "model_context_window_exceeded")
"""Reasons of Claude's that OpenAI's dialect has no word for."""


def event(name: str, **members: object) -> bytes:
    """One event of the stream; its name is in the data too."""
    return encode_named(name, orjson.dumps({"type": name, **members}))


def whole(ctx: Context, reading: Reading, body: Json, stops: list[str]) -> Json:
    """The message. An ``input`` that is no JSON object stands under ``INVALID_JSON``."""
    content: list[Json] = []
    refused = False
    for piece in joined(reading.read(body)):
        refused = refused or piece.kind == "refusal"
        block = _block(ctx, piece)
        if piece.kind == "tool":
            block["input"] = _input(piece.text)
        elif piece.kind == "thinking":
            content += _thoughts(block, piece.text, reading.signed)
            continue
        else:
            block["text"] = piece.text
        content.append(block)
    return {**_message(ctx, reading.model, content), **_end(reading, stops, refused)}


def settled(ctx: Context, reading: Reading) -> Json:
    """What a message says of the call once that is settled."""
    return {"usage": _usage(reading.usage(ctx)), "headgate": meta(ctx)}


def _message(ctx: Context, model: str, content: list[Json]) -> Json:
    return {
        "id": f"msg_{ctx.call_id}",
        "type": "message",
        "role": "assistant",
        "model": model or ctx.asked_model,
        "content": content,
    }


def _block(ctx: Context, piece: Piece) -> Json:
    if piece.kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if piece.kind == "tool":
        number = piece.key.removeprefix("tool ")
        own = piece.id or f"toolu_{ctx.call_id}_{number}"
        return {"type": "tool_use", "id": own, "name": piece.name, "input": {}}
    return {"type": "text", "text": ""}


def _thoughts(block: Json, text: str, signed: list[Json]) -> list[Json]:
    """Signed thoughts one by one where they are the text; a changed text has no signature."""
    if not signed or "".join(str(one.get("thinking") or "") for one in signed) != text:
        return [{**block, "thinking": text}]
    names = ("thinking", "signature")
    return [{**block, **{name: one[name] for name in names}} for one in signed]


def _input(arguments: str) -> Json:
    if not arguments:
        return {}
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict) and not too_deep(arguments.encode(), value):
        return value
    return {"INVALID_JSON": arguments}


def _end(reading: Reading, stops: list[str], refused: bool) -> Json:
    matched = reading.matched if reading.matched in stops else None
    reason = _STOPS.get(reading.finish, "end_turn")
    if reading.native in _OWN:
        reason = reading.native
    if refused:
        reason = "refusal"
    elif reason == "end_turn" and reading.calls:
        reason = "tool_use"
    elif reason == "end_turn" and matched is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": matched}


def _usage(usage: Usage) -> Json:
    """Anthropic counts tokens of caches beside ``input_tokens``, OpenAI within them."""
    written, hour = usage.cache_written_tokens, usage.cache_written_1h_tokens
    kept = {"ephemeral_5m_input_tokens": max(0, written - hour), "ephemeral_1h_input_tokens": hour}
    return {
        "input_tokens": max(0, usage.input_tokens - usage.cached_input_tokens - written),
        "cache_read_input_tokens": usage.cached_input_tokens,
        "cache_creation_input_tokens": written,
        **({"cache_creation": kept} if written else {}),  # clients keep that of a stream's start
        "output_tokens": usage.output_tokens,
    }


class Stream:
    """The events of one message. Blocks are sent one after the other, as Anthropic does."""

    def __init__(self, stops: list[str]) -> None:
        self._stops = stops
        self._reading = Reading()
        self._blocks = InTurn(self._gives_way)
        self._index = -1
        self._held_back = False
        self._refused = False
        self._started = False

    def opening(self, held_back: bool) -> Iterator[bytes]:
        """Nothing yet: the model's name comes with the first chunk."""
        self._held_back = held_back
        return iter(())

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """The events of one chunk."""
        pieces = list(self._reading.read(body))
        if not self._started:
            yield from self._start(ctx)
        for piece in pieces:
            self._refused = self._refused or piece.kind == "refusal"
            for step in self._blocks.take(piece.key, piece):
                yield from self._told(ctx, step)

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """The rest of all blocks, why it stopped, and the usage of the whole call."""
        if not self._started:
            yield from self._start(ctx)
        for step in self._blocks.close():
            yield from self._told(ctx, step)
        ends = _end(self._reading, self._stops, self._refused)
        yield event("message_delta", delta=ends, **settled(ctx, self._reading))
        yield event("message_stop")

    def _start(self, ctx: Context) -> Iterator[bytes]:
        self._started = True
        usage = _usage(Usage())  # the upstream tells at its end: message_delta has the numbers
        ends = {"stop_reason": None, "stop_sequence": None}
        message = {**_message(ctx, self._reading.model, []), **ends, "usage": usage}
        yield event("message_start", message=message)
        yield event("ping")

    def _gives_way(self, first: Kind, kind: Kind) -> bool:
        if first == "tool":
            return False
        # The end of a text that is held back comes when thoughts or calls are long under way.
        return not (self._held_back and first == "text")

    def _told(self, ctx: Context, step: Step) -> Iterator[bytes]:
        if step.what == "begin":
            self._index += 1
            block = _block(ctx, step.piece)
            yield event("content_block_start", index=self._index, content_block=block)
        elif step.what == "say":
            yield self._delta(step.piece.kind, step.piece.text)
        else:
            yield from self._stop(step.block.last.kind)

    def _stop(self, kind: Kind) -> Iterator[bytes]:
        if kind == "thinking" and self._reading.signed:
            said = {"type": "signature_delta", "signature": self._reading.signed[-1]["signature"]}
            self._reading.signed.clear()
            yield event("content_block_delta", index=self._index, delta=said)
        yield event("content_block_stop", index=self._index)

    def _delta(self, kind: Kind, text: str) -> bytes:
        delta: Json = {"type": "text_delta", "text": text}
        if kind == "thinking":
            delta = {"type": "thinking_delta", "thinking": text}
        elif kind == "tool":
            delta = {"type": "input_json_delta", "partial_json": text}
        return event("content_block_delta", index=self._index, delta=delta)
