"""A chat reply as Anthropic's message, whole or as the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from headgate_core.context import Context
from headgate_core.types import Json, Usage
from headgate_gateway.http.dialects.replies import Kind, Piece, Reading
from headgate_gateway.http.meta import meta
from headgate_gateway.sse import encode_named

_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def event(name: str, **members: object) -> bytes:
    """One event of the stream; its name is in the data too."""
    return encode_named(name, orjson.dumps({"type": name, **members}))


def whole(ctx: Context, body: Json, stops: list[str]) -> Json:
    """The message. An ``input`` that is no JSON object stands under ``INVALID_JSON``."""
    reading = Reading()
    content: list[Json] = []
    refused = False
    for piece in reading.read(body):
        refused = refused or piece.kind == "refusal"
        block = _block(ctx, piece)
        if piece.kind == "tool":
            block["input"] = _input(piece.text)
        else:
            block["thinking" if piece.kind == "thinking" else "text"] = piece.text
        content.append(block)
    return {
        **_message(ctx, reading.model, content),
        **_end(reading, stops, refused),
        "usage": _usage(reading.usage(ctx)),
        "headgate": meta(ctx),
    }


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


def _input(arguments: str) -> Json:
    if not arguments:
        return {}
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def _end(reading: Reading, stops: list[str], refused: bool) -> Json:
    matched = reading.matched if reading.matched in stops else None
    reason = _STOPS.get(reading.finish, "end_turn")
    if refused:
        reason = "refusal"
    elif reason == "end_turn" and reading.calls:
        reason = "tool_use"
    elif reason == "end_turn" and matched is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": matched}


def _usage(usage: Usage) -> Json:
    """Anthropic counts cached tokens beside ``input_tokens``, OpenAI within them."""
    return {
        "input_tokens": usage.input_tokens - usage.cached_input_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.output_tokens,
    }


@dataclass(slots=True)
class _Open:
    """A block that has begun. Texts that come while another block is being sent wait here."""

    kind: Kind
    start: Json
    waiting: list[str] = field(default_factory=list)


class Stream:
    """The events of one message. Blocks are sent one after the other, as Anthropic does.

    Tool calls may come interleaved, so that the first stays open to the end and the others wait.
    """

    def __init__(self, stops: list[str]) -> None:
        self._stops = stops
        self._reading = Reading()
        self._open: dict[str, _Open] = {}
        self._index = 0
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
            yield from self._piece(ctx, piece)

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """The rest of all blocks, why it stopped, and the usage of the whole call."""
        if not self._started:
            yield from self._start(ctx)
        while self._open:
            yield from self._close_first()
        yield event(
            "message_delta",
            delta=_end(self._reading, self._stops, self._refused),
            usage=_usage(self._reading.usage(ctx)),
            headgate=meta(ctx),
        )
        yield event("message_stop")

    def _start(self, ctx: Context) -> Iterator[bytes]:
        self._started = True
        usage = _usage(Usage())  # the upstream tells at its end: message_delta has the numbers
        ends = {"stop_reason": None, "stop_sequence": None}
        message = {**_message(ctx, self._reading.model, []), **ends, "usage": usage}
        yield event("message_start", message=message)
        yield event("ping")

    def _piece(self, ctx: Context, piece: Piece) -> Iterator[bytes]:
        if piece.key not in self._open:
            while self._open and self._gives_way(piece.kind):
                yield from self._close_first()
            self._open[piece.key] = _Open(piece.kind, _block(ctx, piece))
            if len(self._open) == 1:
                yield self._begin(piece.key)
        if not piece.text:
            return
        if next(iter(self._open)) == piece.key:
            yield self._delta(piece.kind, piece.text)
        else:
            self._open[piece.key].waiting.append(piece.text)

    def _gives_way(self, kind: Kind) -> bool:
        """Whether the block being sent is over when one of ``kind`` begins."""
        first = next(iter(self._open.values())).kind
        if first == "tool":
            return False
        # A guard lets the end of the thoughts go when the text is long under way.
        return not (self._held_back and first == "text" and kind == "thinking")

    def _close_first(self) -> Iterator[bytes]:
        self._open.pop(next(iter(self._open)))
        yield event("content_block_stop", index=self._index)
        self._index += 1
        if self._open:
            key, block = next(iter(self._open.items()))
            yield self._begin(key)
            if block.waiting:
                yield self._delta(block.kind, "".join(block.waiting))

    def _begin(self, key: str) -> bytes:
        block = self._open[key].start
        return event("content_block_start", index=self._index, content_block=block)

    def _delta(self, kind: Kind, text: str) -> bytes:
        delta: Json = {"type": "text_delta", "text": text}
        if kind == "thinking":
            delta = {"type": "thinking_delta", "thinking": text}
        elif kind == "tool":
            delta = {"type": "input_json_delta", "partial_json": text}
        return event("content_block_delta", index=self._index, delta=delta)
